"""The site's pages."""

from __future__ import annotations

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import login
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.db import IntegrityError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from example_project.accounts import confirmation
from example_project.accounts.forms import NewsletterForm, ProfileForm, SignupForm


@require_GET
def home(request: HttpRequest) -> HttpResponse:
    return render(request, "accounts/home.html", {"form": NewsletterForm()})


@require_http_methods(["GET", "POST"])
def signup(request: HttpRequest) -> HttpResponse:
    form = SignupForm(request.POST or None, initial={"source": request.GET.get("source", "")[:60]})
    if request.method == "POST" and form.is_valid():
        user = _saved(form)
        if user is not None:
            confirmation.send_link(user, settings.SITE_URL)
            login(request, user)
            messages.success(request, _("Welcome! We have sent you a link that confirms your address."))
            return redirect("profile")
    return render(request, "accounts/signup.html", {"form": form})


def _saved(form: SignupForm) -> User | None:
    try:
        return form.save()
    except IntegrityError:
        # Two requests with one address at the same moment: the database let one of them in.
        form.add_error("email", _("There is an account with this address already."))
        return None


@require_GET
def confirm(request: HttpRequest, token: str) -> HttpResponse:
    if confirmation.confirm(token):
        messages.success(request, _("Your address is confirmed."))
    else:
        messages.error(request, _("This link is not valid any more."))
    return redirect("home")


@login_required
@require_http_methods(["GET", "POST"])
def profile(request: HttpRequest) -> HttpResponse:
    form = ProfileForm(request.POST or None, user=User.objects.get(username=request.user.get_username()))
    if request.method == "POST" and form.is_valid():
        form.save()
        messages.success(request, _("Saved. The services will know in a moment."))
        return redirect("profile")
    return render(request, "accounts/profile.html", {"form": form})


@require_POST
def newsletter(request: HttpRequest) -> HttpResponse:
    form = NewsletterForm(request.POST)
    if not form.is_valid():
        return render(request, "accounts/home.html", {"form": form}, status=400)
    form.save()
    messages.success(request, _("Thank you! You are on the list."))
    return redirect("home")
