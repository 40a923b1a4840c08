//! What guards of the shipped runbooks refuse to launch, and the near misses that they let pass.

use runbook::execution::deny::{Verdict, judge_line, request_is_denied};
use runbook::runbook::model::Runbook;
use runbook::runbook::shipped::{self, RUNBOOKS};

fn runbook(name: &str) -> Runbook {
    let mut all = RUNBOOKS.iter();
    let shipped = all.find(|r| r.name() == name).expect("it is shipped");
    shipped::read(shipped.file, shipped.text.as_bytes()).expect("it is right")
}

/// The guards that do not find a command line clear.
fn against(runbook: &Runbook, line: &str) -> Vec<String> {
    let guards = runbook.guards.iter();
    guards
        .filter(|guard| judge_line(line, &guard.deny.commands) != Verdict::Clear)
        .map(|guard| guard.id.to_string())
        .collect()
}

#[track_caller]
fn denies(name: &str, guard: &str, lines: &[&str]) {
    let runbook = runbook(name);
    for line in lines {
        let found = against(&runbook, line);
        assert!(found.iter().any(|id| id == guard), "{line}: {found:?}");
    }
}

#[track_caller]
fn lets_pass(name: &str, lines: &[&str]) {
    let runbook = runbook(name);
    for line in lines {
        assert_eq!(against(&runbook, line), Vec::<String>::new(), "{line}");
    }
}

#[track_caller]
fn denies_requests(name: &str, guard: &str, requests: &[(&str, &str)]) {
    let runbook = runbook(name);
    let mut guards = runbook.guards.iter();
    let guard = guards.find(|g| g.id.as_str() == guard).expect("a guard");
    for (method, path) in requests {
        let mut patterns = guard.deny.requests.iter();
        assert!(
            patterns.any(|p| request_is_denied(method, path, p)),
            "{method} {path}"
        );
    }
}

#[test]
fn events_are_not_taken_out_of_the_stream_or_skipped() {
    denies(
        "route-replay-gap",
        "no-apply-over-gap",
        &[
            "nats stream purge ROUTES",
            "nats s purge ROUTES -f",
            "nats --context prod stream rmm ROUTES 42",
            "nats stream rm ROUTES",
            "nats str delete ROUTES",
            "nats stream seal ROUTES",
            "nats stream edit ROUTES --max-age 1h",
            "nats stream restore ROUTES /backup",
            "nats stream cluster peer-remove ROUTES n3",
            "nats consumer rm ROUTES edge",
            "nats consumer add ROUTES edge --defaults",
            "nats con add ROUTES edge --deliver=new",
            "nats consumer add ROUTES edge --deliver all --defaults",
            "nats consumer add ROUTES edge --deliver last",
            "nats consumer add ROUTES edge --deliver subject",
            "nats consumer add ROUTES edge --deliver 1h",
            "nats consumer add ROUTES edge --deliver=4711s",
            "nats consumer add ROUTES edge --deliver \"\" --defaults",
            "nats consumer reset ROUTES edge",
            "nats pub routes.shop.checkout x",
            "sudo bash -c 'nats stream purge ROUTES'",
        ],
    );
    denies_requests(
        "route-replay-gap",
        "no-apply-over-gap",
        &[
            ("DELETE", "/environments/production/stream"),
            ("PATCH", "/environments/production/stream"),
            ("DELETE", "/environments/production/consumers/edge"),
        ],
    );
}

#[test]
fn no_edge_is_told_by_hand_who_owns_a_route() {
    denies(
        "route-replay-gap",
        "no-health-chosen-owner",
        &[
            "ssh edge1 sed -i s/a/b/ /etc/routes",
            "kubectl edit ingress web",
            "kubectl -n shop patch httproute web",
            "nats kv put OWNERS app.web x",
            "etcdctl put /routes/web x",
            "consul kv put routes/web x",
            "redis-cli SET route:web x",
            "curl -X PUT https://edge1/routes/web",
            "socat stdio /run/proxy.sock",
        ],
    );
    denies_requests(
        "route-replay-gap",
        "no-health-chosen-owner",
        &[
            ("PUT", "/environments/production/edges/edge-fra/routes"),
            ("POST", "/environments/production/discovery/fallback"),
        ],
    );
    denies_requests(
        "route-replay-gap",
        "no-clear-without-baseline",
        &[("DELETE", "/environments/production/gaps/edge-fra")],
    );
}

#[test]
fn what_reads_the_stream_or_resumes_it_at_a_number_passes() {
    lets_pass(
        "route-replay-gap",
        &[
            "nats stream info ROUTES --json",
            "nats consumer info ROUTES edge --json",
            "nats stream get ROUTES 4711 --json",
            "nats consumer pause ROUTES edge",
            "nats consumer add ROUTES edge --pull --deliver=4713",
            "nats consumer add ROUTES edge --pull --deliver 4713",
            "nats consumer reset ROUTES edge --sequence 4713",
            "nats kv get OWNERS app.web",
            "kubectl get ingress -o yaml",
            "curl https://edge.example.com/routes",
        ],
    );
}

#[test]
fn nothing_is_restored_over_what_is_there() {
    denies(
        "db-restore",
        "no-restore-in-place",
        &[
            "rm -rf /var/lib/postgresql/15/main",
            "dropdb shop",
            "psql -c 'DROP TABLE orders' shop",
            "psql shop -c 'truncate orders'",
            "psql shop < dump.sql",
            "zcat dump.sql.gz | psql shop",
            "pg_restore --clean -d shop shop.dump",
            "pgbackrest --stanza=main --delta restore",
            "pgbackrest --stanza=main expire",
            "wal-g backup-fetch /var/lib/postgresql/15/main LATEST",
            "pg_resetwal /var/lib/postgresql/15/main",
            "gcloud sql backups restore 17 --restore-instance=shop",
            "heroku pg:backups:restore b001 DATABASE_URL --app shop",
            "heroku pg:copy OLD NEW --app shop",
            "aws rds delete-db-instance --db-instance-identifier shop --skip-final-snapshot",
            "patronictl remove shop",
            "patronictl reinit shop db1",
            "etcdutl snapshot restore snap.db --skip-hash-check",
        ],
    );
}

#[test]
fn the_code_is_not_rolled_back_in_the_place_of_the_data() {
    denies(
        "db-restore",
        "no-route-as-data-rollback",
        &[
            "vercel rollback dpl_1",
            "netlify api restoreSiteDeploy --data {}",
            "wrangler rollback 41",
            "heroku rollback v41 --app shop",
            "kubectl -n shop rollout undo deploy/x --to-revision=41",
            "helm rollback x 41",
            "nomad job revert app 41",
            "fly deploy --image registry.fly.io/app@sha256:600d",
        ],
    );
    denies_requests(
        "db-restore",
        "no-route-as-data-rollback",
        &[
            ("POST", "/environments/production/operations"),
            ("POST", "/environments/production/rollback"),
            ("PUT", "/environments/production/route-owner"),
        ],
    );
}

#[test]
fn what_looks_at_backups_or_restores_beside_passes() {
    lets_pass(
        "db-restore",
        &[
            "pgbackrest info --output=json",
            "pgbackrest --stanza=main verify",
            "pgbackrest --stanza=main check",
            "pgbackrest --stanza=main restore --pg1-path=/restore/db-orders-8",
            "aws rds restore-db-instance-to-point-in-time --target-db-instance-identifier restored-1",
            "fly mpg restore abc",
            "kubectl cnpg fencing on db",
            "psql -c 'select pg_wal_replay_pause()' shop",
        ],
    );
}

#[test]
fn nobody_switches_past_the_failover() {
    denies(
        "provider-outage",
        "no-unready-failover",
        &[
            "aws rds failover-db-cluster --db-cluster-identifier shop",
            "aws --region eu-west-1 rds promote-read-replica --db-instance-identifier shop",
            "aws route53 change-resource-record-sets --hosted-zone-id Z1",
            "gcloud sql instances failover shop",
            "gcloud sql instances promote-replica shop",
            "patronictl -c /etc/patroni.yml failover shop",
            "patronictl switchover",
            "pg_ctlcluster 15 main promote",
            "ssh db-1 sudo -u postgres pg_ctl -D /data promote",
            "redis-cli -p 26379 SENTINEL FAILOVER shop",
        ],
    );
}

#[test]
fn nobody_rotates_past_the_operation() {
    denies(
        "provider-outage",
        "no-blind-rotation",
        &[
            "aws secretsmanager rotate-secret --secret-id db",
            "aws secretsmanager put-secret-value --secret-id db",
            "aws iam create-access-key",
            "aws iam delete-access-key --access-key-id A",
            "vault kv put secret/db user=a",
            "vault token revoke -self",
            "fly secrets set DB=1",
            "heroku config:set DB_KEY=1 --app shop",
            "heroku pg:credentials:rotate --app shop",
            "wrangler secret put DB",
            "kubectl -n shop create secret generic db",
            "gh secret set DB",
        ],
    );
}

#[test]
fn looking_at_a_provider_is_let_through() {
    lets_pass(
        "provider-outage",
        &[
            "aws rds describe-db-clusters",
            "aws secretsmanager describe-secret --secret-id db",
            "dig db-eu.example",
            "curl -sS -o /dev/null --connect-to db-eu.example:443:192.0.2.1 https://db-eu.example/",
            "vault read sys/health",
            "patronictl list",
            "kubectl get secret db",
            "redis-cli -p 26379 SENTINEL masters",
        ],
    );
}

#[test]
fn nobody_starts_a_run_past_the_platform() {
    let starts = [
        "ansible-playbook site.yml --tags deploy",
        "sudo ansible-playbook -i hosts site.yml",
        "terraform apply -auto-approve",
        "terraform -chdir=shop apply",
        "kubectl apply -f shop.yaml",
        "helm upgrade shop ./chart",
        "docker compose -f shop.yaml up -d",
    ];
    denies("failed-run", "no-next-run-early", &starts);
    denies("guided-operation", "no-wrong-target", &starts);
    let again = [
        "gh run rerun 77",
        "gh workflow run deploy.yml",
        "glab ci retry 77",
    ];
    denies("failed-run", "no-next-run-early", &again);
}

#[test]
fn looking_at_a_run_is_let_through() {
    for runbook in ["failed-run", "guided-operation"] {
        lets_pass(
            runbook,
            &[
                "ansible-playbook site.yml --check",
                "terraform plan -detailed-exitcode",
                "kubectl apply -f shop.yaml --dry-run=server",
                "kubectl get pods",
                "helm status shop",
                "docker compose ps",
                "gh run view 77",
            ],
        );
    }
}

#[test]
fn secrets_are_not_written_past_the_rotation() {
    denies_requests(
        "provider-outage",
        "no-blind-rotation",
        &[
            ("PUT", "/environments/production/secrets/db"),
            ("POST", "/v1/secrets/db/versions"),
        ],
    );
}
