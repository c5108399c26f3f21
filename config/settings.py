"""Every setting, with the environment name it is read from. `production/env.example` lists them for operators.

Without DATABASE_URL and BROKER_URL the embedded services under `var/` are used; their secrets lie there too.
"""

import os
import secrets
from pathlib import Path
from typing import Any

import dj_database_url
from django.core.exceptions import ImproperlyConfigured
from django.templatetags.static import static
from django.urls import reverse_lazy
from django.utils.translation import gettext_lazy as _

from config import embedded
from config.logs import configure

BASE_DIR = Path(__file__).resolve().parent.parent
VERSION = "0.1.0"


def _flag(name: str, default: bool) -> bool:  # noqa: FBT001
    return os.environ.get(name, str(default)).strip().lower() in ("1", "true", "yes", "on")


def _number(name: str, default: float) -> float:
    text = os.environ.get(name, str(default))
    try:
        return float(text)
    except ValueError:
        raise ImproperlyConfigured(f"{name} must be a number.") from None


def _list(name: str, default: str) -> list[str]:
    return [part.strip() for part in os.environ.get(name, default).split(",") if part.strip()]


# Where state lies, and whether this is the embedded installation.
STATE_DIR = Path(os.environ.get("STATE_DIR", BASE_DIR / "var"))
EMBEDDED = not (os.environ.get("DATABASE_URL") or os.environ.get("BROKER_URL"))


def _secret(name: str, length: int) -> str:
    """Read a secret from the environment; the embedded installation makes and keeps its own."""
    if value := os.environ.get(name):
        return value
    if not EMBEDDED:
        raise ImproperlyConfigured(f"Set {name}; `openssl rand -hex {length}` makes one.")
    kept = STATE_DIR / "secrets" / name
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh = kept.with_name(f"{name}.{os.getpid()}")
        fresh.touch(mode=0o600)
        fresh.write_text(secrets.token_hex(length))
        try:
            kept.hardlink_to(fresh)
        except FileExistsError:
            pass  # another process was first; its secret holds
        finally:
            fresh.unlink()
    return kept.read_text()


DEBUG = _flag("DEBUG", default=False)
SECRET_KEY = _secret("SECRET_KEY", 32)
MASTER_KEY = _secret("MASTER_KEY", 32)
ALLOWED_HOSTS = _list("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]" if EMBEDDED else "")
CSRF_FAILURE_VIEW = "config.instead.stale"
CSRF_TRUSTED_ORIGINS = _list("CSRF_TRUSTED_ORIGINS", "")

_place = embedded.place_at(STATE_DIR / "services") if EMBEDDED else None
DATABASE_URL = os.environ.get("DATABASE_URL") or (_place.database_url if _place else "")
BROKER_URL = os.environ.get("BROKER_URL") or (_place.broker_url if _place else "")
if not (DATABASE_URL and BROKER_URL):
    raise ImproperlyConfigured("Set DATABASE_URL and BROKER_URL, both or neither.")
#: for LISTEN and the lease, where a transaction pooler stands before the other
DATABASE_DIRECT_URL = os.environ.get("DATABASE_DIRECT_URL") or DATABASE_URL

# Web threads and Celery's share a pool: Celery closes a connection after every task, and with threads leaves a pool.
DATABASE_POOL = int(_number("DATABASE_POOL", 0))
#: A database whose machine or network is gone without a word is noticed in 5 s, asked something or not; an answer that
#: takes long is none. Every connection of ours has these.
_KEEPALIVES = {"keepalives_idle": 2, "keepalives_interval": 1, "keepalives_count": 3}
_UNANSWERED_MS = 5000
DATABASE_TCP: dict[str, Any] = {**_KEEPALIVES, "tcp_user_timeout": _UNANSWERED_MS}
#: What a transaction pooler in between cannot keep: plans of prepared statements (Django's default is none), that
#: the queue, often empty when the planner looks and full when a plan is used, is never scanned as a whole, and that the
#: server notices us gone as soon, with the rows that we had locked.
_IN_SESSION = {
    "prepare_threshold": 5,
    "options": " ".join(
        [
            f"-c enable_seqscan=off -c tcp_user_timeout={_UNANSWERED_MS}",
            *(f"-c tcp_{name}={value}" for name, value in _KEEPALIVES.items()),
        ]
    ),
}
DATABASES = {"default": dj_database_url.parse(DATABASE_URL)}
_named = DATABASES["default"].get("OPTIONS", {})
if "options" in _named:
    _IN_SESSION["options"] = f"{_named['options']} {_IN_SESSION['options']}"
DATABASES["default"]["OPTIONS"] = {
    **_named,
    "connect_timeout": 3,
    **DATABASE_TCP,
    "application_name": os.environ.get("PROCESS_NAME", "ferryman"),
    **({"pool": {"min_size": 2, "max_size": DATABASE_POOL, "timeout": 3}} if DATABASE_POOL else {}),
    **(_IN_SESSION if DATABASE_POOL and DATABASE_DIRECT_URL == DATABASE_URL else {}),
}
DATABASES["default"]["CONN_MAX_AGE"] = 0 if DATABASE_POOL else None
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    "unfold",
    "unfold.contrib.filters",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "rest_framework_api_key",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "pgtrigger",
    "axes",
    "csp",
    "django_prometheus",
    "django_structlog",
    "config",
    "staff",
    "queueing",
    "processor",
    "transactions",
]

MIDDLEWARE = [
    "django_prometheus.middleware.PrometheusBeforeMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "csp.middleware.CSPMiddleware",
    "config.middleware.BoundedBody",
    "django_structlog.middlewares.RequestMiddleware",
    "staff.watching.WatchAdmin",
    "config.middleware.ViewersZone",
    "axes.middleware.AxesMiddleware",
    "django_prometheus.middleware.PrometheusAfterMiddleware",
]

# The API's own, in place of the above: see `wsgi`.
API_MIDDLEWARE = ["config.middleware.RequestId"]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "config" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("id", "Bahasa Indonesia")]
LOCALE_PATHS = [BASE_DIR / "locale"]
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = True
FORMAT_MODULE_PATH = ["config.formats"]
STATIC_URL = "static/"
STATIC_ROOT = STATE_DIR / "static"
LOGGING = configure(level=os.environ.get("LOG_LEVEL", "INFO"), as_json=_flag("LOG_JSON", default=not EMBEDDED))
LOGGING_CONFIG = "logging.config.dictConfig"

AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "admin:index"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
#: how long a one-time code for a new password works
PASSWORD_RESET_TIMEOUT = 24 * 3600
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = 0.25  # hours
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_ON_SUCCESS = True
AXES_VERBOSE = False

STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedStaticFilesStorage"},
}
SESSION_COOKIE_HTTPONLY = True
# A shift: who comes back tomorrow signs in again, and so does who comes upon a browser that was closed.
SESSION_COOKIE_AGE = 12 * 60 * 60
SESSION_EXPIRE_AT_BROWSER_CLOSE = True
SECURE_COOKIES = _flag("SECURE_COOKIES", default=not EMBEDDED)
SESSION_COOKIE_SECURE = SECURE_COOKIES
CSRF_COOKIE_SECURE = SECURE_COOKIES
SECURE_CONTENT_TYPE_NOSNIFF = True
X_FRAME_OPTIONS = "DENY"
DATA_UPLOAD_MAX_MEMORY_SIZE = 1_048_576

# Nothing is ever loaded from another host. Unfold's Alpine evaluates its expressions, hence unsafe-eval.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "script-src": ["'self'", "'unsafe-inline'", "'unsafe-eval'"],
        "style-src": ["'self'", "'unsafe-inline'"],
        "img-src": ["'self'", "data:"],
        "font-src": ["'self'", "data:"],
        "object-src": ["'none'"],
        "frame-ancestors": ["'none'"],
        "base-uri": ["'self'"],
        "form-action": ["'self'"],
    }
}

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["transactions.api.auth.BearerKey"],
    "DEFAULT_PERMISSION_CLASSES": ["transactions.api.auth.HasScope"],
    "DEFAULT_THROTTLE_CLASSES": ["transactions.api.throttle.KeyRate"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "transactions.api.rendering.Negotiation",
    "DEFAULT_RENDERER_CLASSES": ["transactions.api.rendering.JsonRenderer"],
    "DEFAULT_PARSER_CLASSES": ["transactions.api.rendering.StrictJsonParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "transactions.api.problems.handle",
    "UNAUTHENTICATED_USER": None,
    "UNAUTHENTICATED_TOKEN": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Ferryman",
    "DESCRIPTION": "Payments over a bank's single ISO 8583 connection: accepted at once, carried in order, "
    "and settled even when the bank is silent.",
    "VERSION": VERSION,
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SCHEMA_PATH_PREFIX": r"/api/v1",
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SWAGGER_UI_SETTINGS": {"persistAuthorization": True, "displayRequestDuration": True},
    "POSTPROCESSING_HOOKS": ["transactions.api.openapi.add_components", "transactions.api.webhook_events.add_webhooks"],
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
}

#: /terminal/, a page that posts payments for demonstrations and training; never where real cards are
TERMINAL_PAGE = _flag("TERMINAL_PAGE", default=False)

PROMETHEUS_EXPORT_MIGRATIONS = False
DJANGO_STRUCTLOG_COMMAND_LOGGING_ENABLED = False


def _page(title: Any, icon: str, model: str) -> dict[str, object]:
    """An entry of the sidebar, for those who may see it."""
    app, name = model.split("_", 1)
    return {
        "title": title,
        "icon": icon,
        "link": reverse_lazy(f"admin:{model}_changelist"),
        "permission": lambda request: request.user.has_perm(f"{app}.view_{name}"),
    }


def _report(title: Any, icon: str, name: str) -> dict[str, object]:
    """A report's entry, for those who may see payments."""
    return {
        "title": title,
        "icon": icon,
        "link": reverse_lazy(name),
        "permission": lambda request: request.user.has_perm("transactions.view_payment"),
    }


_TERMINAL: dict[str, object] = {
    "title": _("Terminal"),
    "icon": "atm",
    "link": reverse_lazy("terminal"),
    "permission": lambda request: request.user.has_perm("transactions.use_terminal"),
}

UNFOLD = {
    "SITE_TITLE": "Ferryman",
    "SITE_HEADER": "Ferryman",
    "SITE_SUBHEADER": _("Payments across one link"),
    "SITE_SYMBOL": "directions_boat",
    "SHOW_HISTORY": False,
    "SHOW_LANGUAGES": True,
    "SHOW_VIEW_ON_SITE": False,
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": lambda _: static("ferryman/icon.svg")},
    ],
    "DASHBOARD_CALLBACK": "transactions.admin.desk.context",
    "SCRIPTS": [lambda _: static("ferryman/zone.js"), lambda _: static("ferryman/once.js")],
    "STYLES": [lambda _: static("ferryman/pages.css"), lambda _: static("ferryman/desk.css")],
    "SIDEBAR": {
        "show_search": False,
        "navigation": [
            {
                "title": _("Payments"),
                "items": [
                    {"title": _("Desk"), "icon": "space_dashboard", "link": reverse_lazy("admin:index")},
                    _page(_("Payments"), "payments", "transactions_payment"),
                    _page(_("Requests"), "approval", "staff_request"),
                    _page(_("Jobs"), "checklist", "transactions_job"),
                    _page(_("Queue"), "low_priority", "queueing_queueentry"),
                    _page(_("Lanes"), "view_week", "queueing_lane"),
                    *([_TERMINAL] if TERMINAL_PAGE else []),
                ],
            },
            {
                "title": _("Reports"),
                "items": [
                    _report(_("Settlement"), "account_balance", "report_settlement"),
                    _page(_("Reconciliation"), "compare_arrows", "transactions_hostfile"),
                    _report(_("Success"), "task_alt", "report_success"),
                    _report(_("Values"), "bar_chart", "report_values"),
                    _report(_("Peak hours"), "schedule", "report_hours"),
                    _report(_("Response codes"), "pin", "report_responses"),
                    _report(_("Slowest"), "hourglass_top", "report_slowest"),
                ],
            },
            {
                "title": _("Bank"),
                "items": [
                    _page(_("Links"), "cable", "processor_link"),
                    _page(_("Routes"), "alt_route", "processor_route"),
                    _page(_("Messages"), "swap_horiz", "processor_message"),
                ],
            },
            {
                "title": _("Webhooks"),
                "items": [
                    _page(_("Deliveries"), "outbound", "transactions_webhookdelivery"),
                    _page(_("Endpoints"), "webhook", "transactions_webhookendpoint"),
                    _page(_("Replays"), "replay", "transactions_webhookreplay"),
                ],
            },
            {
                "title": _("Who"),
                "items": [
                    _page(_("Merchants"), "storefront", "transactions_merchant"),
                    _page(_("API keys"), "key", "transactions_apikey"),
                    _page(_("Staff"), "person", "auth_user"),
                    _page(_("Groups"), "group", "auth_group"),
                    _page(_("Audit"), "history_edu", "staff_record"),
                ],
            },
        ],
    },
}

# What operators tune.
#: seconds an API key and a link's configuration are remembered by a web process
CACHE_SECONDS = _number("CACHE_SECONDS", 5)
#: requests a second one API key may make of one web process, and how many at once
RATE_LIMIT = _number("RATE_LIMIT", 2000)
RATE_BURST = _number("RATE_BURST", 4000)
#: open entries of a link above which new payments are refused with 503
BACKLOG_LIMIT = int(_number("BACKLOG_LIMIT", 10_000))
#: hours after which what nobody agreed to is not done any more
REQUEST_HOURS = _number("REQUEST_HOURS", 24)
#: days for which messages are kept, sealed, as they were on the wire, for supervisors to see with a reason; 0 for none
RAW_MESSAGE_DAYS = _number("RAW_MESSAGE_DAYS", 30)
#: how often what was not sent, and what the host declines for a passing reason or for good, is tried in all
RETRY_UNSENT = int(_number("RETRY_UNSENT", 5))
RETRY_HOST = int(_number("RETRY_HOST", 3))
RETRY_BUSINESS = int(_number("RETRY_BUSINESS", 0))
#: seconds before the first further try, doubled up to the longest; no try later than the total after the accept
RETRY_FIRST_SECONDS = _number("RETRY_FIRST_SECONDS", 1)
RETRY_LONGEST_SECONDS = _number("RETRY_LONGEST_SECONDS", 16)
RETRY_TOTAL_SECONDS = _number("RETRY_TOTAL_SECONDS", 3600)
#: the longest pause in seconds between two writes of a reversal that the host does not accept
RETRY_REVERSAL_SECONDS = _number("RETRY_REVERSAL_SECONDS", 300)
#: seconds a link may be down before payments that a customer waits for are refused with 503
LINK_GRACE_SECONDS = _number("LINK_GRACE_SECONDS", 10)
#: web threads a process, of which half may wait for a payment's end (`Prefer: wait`)
WEB_THREADS = int(_number("WEB_THREADS", 32))
#: rows a forward or settle task works on at once
BATCH = int(_number("BATCH", 200))
#: seconds a stopping link worker waits for answers before it settles them as silence
LINK_DRAIN_SECONDS = _number("LINK_DRAIN_SECONDS", 3)
#: seconds between two runs of the recovery job
RECOVERY_SECONDS = _number("RECOVERY_SECONDS", 10)
#: days after its end for which a webhook's delivery is kept with its tries, at least one; replays are kept for good
WEBHOOK_DAYS = max(1.0, _number("WEBHOOK_DAYS", 30))
#: webhooks may go by http, and to private, loopback and link-local addresses: for one's own machine, never for clients'
WEBHOOK_PRIVATE_ADDRESSES = _flag("WEBHOOK_PRIVATE_ADDRESSES", default=EMBEDDED)
#: port of a worker's own /metrics and /health; 0 for none
METRICS_PORT = int(_number("METRICS_PORT", 0))
