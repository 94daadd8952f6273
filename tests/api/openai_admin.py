#!/usr/bin/env python3
"""The administrative API through the official `openai` package: its own types, checked strictly, are the oracle.

Every object that OpenAI's admin client knows and we serve is made, read, listed page by page, changed and ended; the client
refuses an answer that lacks a field or has another type. Usage: openai_admin.py --url URL --admin-key KEY. Exit 77 without the
package, or with one that has no admin client.
"""
import argparse
import sys

try:
    import openai
except ImportError:
    print("the openai package is not installed")
    sys.exit(77)

passed = failed = 0


def check(what, condition, got=""):
    global passed, failed
    if condition:
        passed += 1
    else:
        failed += 1
        print(f"FAILED {what}: {got}")


def refused(what, kind, call):
    try:
        check(what, False, call())
    except kind:
        check(what, True)


def projects_and_keys(admin):
    project = admin.projects.create(name="oracle")
    check("project", project.object == "organization.project" and project.status == "active", project)
    check("retrieve", admin.projects.retrieve(project.id).name == "oracle")
    check("update", admin.projects.update(project.id, name="oracle two").name == "oracle two")
    for i in range(25):
        admin.projects.service_accounts.create(project.id, name=f"bot {i}")
    accounts = list(admin.projects.service_accounts.list(project.id, limit=10))
    check("pages of service accounts", len({a.id for a in accounts}) == 25, len(accounts))
    keys = list(admin.projects.api_keys.list(project.id, limit=7))
    check("pages of keys", len({k.id for k in keys}) == 25, len(keys))
    check("owner", all(k.owner.type == "service_account" and k.owner.service_account.id for k in keys))
    key = keys[0]
    check("key", admin.projects.api_keys.retrieve(key.id, project_id=project.id).redacted_value.startswith("sk-"))
    check("key deleted", admin.projects.api_keys.delete(key.id, project_id=project.id).deleted)
    made = admin.projects.service_accounts.create(project.id, name="last")
    check("a service account's secret", made.api_key.value.startswith("sk-"), made.api_key)
    check("account", admin.projects.service_accounts.retrieve(made.id, project_id=project.id).name == "last")
    check("account deleted", admin.projects.service_accounts.delete(made.id, project_id=project.id).deleted)
    return project


def limits(admin, project):
    rows = list(admin.projects.rate_limits.list_rate_limits(project.id))
    check("rate limits", rows and all(isinstance(r.max_requests_per_1_minute, int) for r in rows), rows)
    row = admin.projects.rate_limits.update_rate_limit(rows[0].id, project_id=project.id, max_requests_per_1_minute=60,
                                                       max_tokens_per_1_minute=1000, max_requests_per_1_day=5000)
    check("rate limit set", (row.max_requests_per_1_minute, row.max_tokens_per_1_minute, row.max_requests_per_1_day) == (60, 1000, 5000), row)
    mail = {"type": "email", "recipients": ["a@example.com", "b@example.com"]}
    for place, arguments in ((admin, {}), (admin.projects, {"project_id": project.id})):
        limit = place.spend_limit.update(**arguments, threshold_amount=12345, currency="USD", interval="month")
        check("spend limit", (limit.threshold_amount, limit.currency) == (12345, "USD"), limit)
        check("spend limit read", place.spend_limit.retrieve(**arguments).enforcement.status == "enforcing")
        check("spend limit deleted", place.spend_limit.delete(**arguments).deleted)
        alert = place.spend_alerts.create(**arguments, threshold_amount=1000, currency="USD", interval="month",
                                          notification_channel=mail)
        check("spend alert", alert.threshold_amount == 1000 and alert.notification_channel.recipients == mail["recipients"], alert)
        check("spend alerts", [a.id for a in place.spend_alerts.list(**arguments, limit=5)] == [alert.id])
        changed = place.spend_alerts.update(alert.id, **arguments, threshold_amount=2000, currency="USD", interval="month",
                                            notification_channel=mail)
        check("spend alert changed", changed.threshold_amount == 2000, changed)
        check("spend alert deleted", place.spend_alerts.delete(changed.id, **arguments).deleted)


def people(admin, client):
    key = admin.admin_api_keys.create(name="second")
    check("admin key", key.value.startswith("sk-admin-"), key)
    listed = list(admin.admin_api_keys.list(limit=1, order="desc"))
    check("admin keys", listed[0].id == key.id and len(listed) >= 2, listed)
    check("admin key read", admin.admin_api_keys.retrieve(key.id).name == "second")
    check("admin key deleted", admin.admin_api_keys.delete(key.id).deleted)
    for role in ("owner", "reader"):
        client.post("/organization/users", cast_to=object, body={"email": f"{role}@example.com", "role": role},
                    options={"security": {"admin_api_key_auth": True}})
    users = list(admin.users.list(limit=1))
    check("users", [u.role for u in users] == ["owner", "reader"], users)
    check("user by address", [u.id for u in admin.users.list(emails=["reader@example.com"])] == [users[1].id])
    check("user", admin.users.retrieve(users[1].id).email == "reader@example.com")
    check("user's role", admin.users.update(users[1].id, role="owner").role == "owner")
    check("user deleted", admin.users.delete(users[1].id).deleted)


# Those of our events that OpenAI has too; its types know no others.
KNOWN = ["project.created", "project.updated", "service_account.created", "service_account.deleted", "api_key.created",
         "api_key.deleted", "rate_limit.updated", "user.added", "user.updated", "user.deleted"]


def audit(admin, loose, project):
    events = list(admin.audit_logs.list(limit=20, project_ids=[project.id], event_types=KNOWN))
    check("audit pages", len(events) > 50 and len({e.id for e in events}) == len(events), len(events))
    everything = list(loose.audit_logs.list(limit=50, project_ids=[project.id]))
    check("newest first", [e.effective_at for e in everything] == sorted((e.effective_at for e in everything), reverse=True))
    check("no more than all", {e.id for e in events} < {e.id for e in everything})
    first = list(admin.audit_logs.list(event_types=["project.created"], project_ids=[project.id]))
    check("project.created", len(first) == 1 and first[0].project_created.id == project.id, first)
    check("project.created's name", first[0].project_created.data.name == "oracle", first)
    check("actor", first[0].actor.type == "api_key" and first[0].actor.api_key.id.startswith("key_"), first[0].actor)
    check("range", not list(loose.audit_logs.list(effective_at={"lt": 1000})))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", required=True)
    parser.add_argument("--admin-key", required=True)
    args = parser.parse_args()
    client = openai.OpenAI(base_url=args.url + "/v1", api_key="none", admin_api_key=args.admin_key, max_retries=0,
                           _strict_response_validation=True)
    if not hasattr(client, "admin"):
        print(f"openai {openai.__version__} has no admin client")
        return 77
    admin = client.admin.organization
    project = projects_and_keys(admin)
    limits(admin, project)
    people(admin, client)
    loose = openai.OpenAI(base_url=args.url + "/v1", api_key="none", admin_api_key=args.admin_key, max_retries=0)
    audit(admin, loose.admin.organization, project)
    check("archived", admin.projects.archive(project.id).status == "archived")
    refused("a project that is not there", openai.NotFoundError, lambda: admin.projects.retrieve("proj_nothing"))
    refused("a bad name", openai.BadRequestError, lambda: admin.projects.create(name=""))
    wrong = openai.OpenAI(base_url=args.url + "/v1", api_key="none", admin_api_key="sk-admin-wrong", max_retries=0)
    refused("a wrong key", openai.AuthenticationError, lambda: wrong.admin.organization.projects.list())
    print(f"openai {openai.__version__}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
