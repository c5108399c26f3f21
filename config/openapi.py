"""The OpenAPI document and its page; the page loads nothing from another host."""

from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView


class SchemaView(SpectacularAPIView):
    """The document, for everybody."""

    authentication_classes = []
    permission_classes = []
    throttle_classes = []
    renderer_classes = SpectacularAPIView.renderer_classes


class DocsView(SpectacularSwaggerView):
    """The document as a page that can be tried out."""

    authentication_classes = []
    permission_classes = []
    throttle_classes = []
    url_name = "schema"
