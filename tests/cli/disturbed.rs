//! The scenario of a bad deploy with somebody else in it.

/// The scenario in a world where the database cannot be read.
pub(crate) fn unreadable_database(text: &str) -> String {
    assert!(text.contains("unreadable: []"));
    text.replace("unreadable: []", "unreadable: [database]")
}

/// The scenario with one more disturbance, right before the answer to the last of these requests.
pub(crate) fn disturbed(text: &str, requests: &[&str], deed: &str) -> String {
    let requests: Vec<String> = requests.iter().map(|r| format!("'{r}'")).collect();
    let requests = requests.join(", ");
    let frozen = "promotions: {frozen: true}";
    assert!(text.contains(frozen));
    let text = text.replace(frozen, "promotions: {frozen: false}");
    format!(
        "{text}disturbances:\n  - title: somebody acts\n    before: [{requests}]\n    actor: somebody\n    {deed}\n"
    )
}

/// A promotion by somebody who takes whatever epoch there is; `{}` stands for what every order needs.
pub(crate) fn promoted(order: &str) -> String {
    let needed =
        "kind: promote, expected_epoch: '${state.route_owner.epoch}', idempotency_key: theirs";
    let order = order.replace("{}", needed);
    format!("sends: {{request: POST /environments/production/operations, body: {order}}}")
}

/// Every edge follows an operation before anybody looks.
pub(crate) const AT_ONCE: &str = "{succeeded: '${state.succeeded + [state.route_owner.last_operation_id]}', edges: \
    '${ {\"edge-fra\": {\"epoch\": 43}, \"edge-iad\": {\"epoch\": 43}, \"edge-sin\": {\"epoch\": 43}} }'}";
