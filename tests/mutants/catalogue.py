"""The mutations: what stands in a file once, what it is replaced with, and who must notice."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mutant:
    """One way to break a promise. ``old`` stands exactly once in ``path``."""

    name: str
    path: str
    old: str
    new: str
    test: str


MUTANTS = (
    Mutant(
        "nothing is committed",
        "service/db/session.py",
        "            session.commit()\n",
        "            session.flush()\n",
        "tests/flows/test_ingest.py::test_an_event_is_stored_once_however_often_it_comes",
    ),
    Mutant(
        "a guilty request takes its neighbours with it",
        "service/flows/committer.py",
        "            if len(batch) > 1:\n",
        "            if len(batch) > 999:\n",
        "tests/flows/test_committer.py"
        "::test_a_guilty_request_is_refused_alone_and_set_aside_for_the_operator",
    ),
    Mutant(
        "a duplicate takes effect again",
        "service/flows/collecting.py",
        "        if key in known.events:\n            continue\n",
        "",
        "tests/flows/test_same_id_again.py::test_another_login_under_the_same_id_takes_nothing",
    ),
    Mutant(
        "the last to arrive wins a register",
        "service/identity/linking.py",
        "if _precedence(statement.parent, statement.order) <= _precedence(*_content(node.login)):",
        "if _precedence(statement.parent, statement.order) == _precedence(*_content(node.login)):",
        "tests/identity/test_linking.py::test_the_order_of_arrival_does_not_change_the_people",
    ),
    Mutant(
        "a logout leaves the token with the device",
        "service/profiles/push_tokens.py",
        'if had_login and logout_policy == "detach":',
        'if had_login and logout_policy == "detached":',
        "tests/flows/test_ingest.py::test_a_login_takes_the_token_and_a_logout_detaches_it",
    ),
    Mutant(
        "a statement sees other sandboxes",
        "service/profiles/push_token_rows.py",
        "    WHERE t.sandbox_id = :sandbox_id\n    ORDER BY t.id {lock_t}\n",
        "    ORDER BY t.id {lock_t}\n",
        "tests/flows/test_ingest.py::test_sandboxes_in_one_batch_stay_apart",
    ),
    Mutant(
        "an older evaluation overwrites a newer one",
        "service/segments/memberships.py",
        "    WHERE segment_membership.evaluated_at < excluded.evaluated_at\n",
        "",
        "tests/segments/test_batch.py::test_an_older_evaluation_does_not_overwrite_a_newer_one",
    ),
    Mutant(
        "a lease is taken from who holds it",
        "service/jobs/leases.py",
        "WHERE process_lease.owner = excluded.owner OR process_lease.expires_at < :now",
        "WHERE true",
        "tests/jobs/test_leases.py"
        "::test_a_held_lease_is_renewed_by_its_owner_and_refused_to_others",
    ),
    Mutant(
        "a cap forgets what was granted before",
        "service/outbound/capping.py",
        "count = max(0, min(wanted, cap.max_calls_count - tally.used))",
        "count = max(0, min(wanted, cap.max_calls_count))",
        "tests/outbound/test_capping.py::test_no_window_holds_more_starts_than_the_cap",
    ),
    Mutant(
        "a grant counts for its period only",
        "service/outbound/capping.py",
        "end = tally.now + timedelta(milliseconds=cap.period_in_ms) + life + COARSENESS",
        "end = tally.now + timedelta(milliseconds=cap.period_in_ms)",
        "tests/outbound/test_capping.py::test_no_window_holds_more_starts_than_the_cap",
    ),
    Mutant(
        "an outcome is recorded after the reaper",
        "service/outbound/attempts.py",
        "AND delivery_attempt.worker = :worker AND delivery_attempt.ended_at IS NULL",
        "AND delivery_attempt.worker = :worker",
        "tests/flows/test_late_outcomes.py"
        "::test_an_answer_that_comes_late_does_not_end_the_repeated_call",
    ),
    Mutant(
        "a call may start when permit and gates are stale",
        "service/flows/delivery_lane.py",
        "        return now <= ready.startable_until and not self._is_halted(ready)\n",
        "        return not self._is_halted(ready)\n",
        "tests/flows/test_deliver.py::test_gates_hold_for_two_seconds_only",
    ),
    Mutant(
        "a token need not be the person's own",
        "service/profiles/lookups.py",
        "AS t ON t.owner_id = m.id)",
        "AS t ON t.owner_id IS NOT NULL)",
        "tests/flows/test_deliver.py"
        "::test_a_token_that_went_to_another_person_after_the_claim_is_not_called",
    ),
    Mutant(
        "an address inside another is believed",
        "service/outbound/egress.py",
        "        if not form:\n",
        "        if form or not form:\n",
        "tests/outbound/test_egress.py::test_a_disguise_is_never_better_than_what_it_hides",
    ),
    Mutant(
        "libcurl may send a request again",
        "service/outbound/transport_handle.py",
        "        if self._started_ns:\n            self._trouble = Trouble.RESEND_STOPPED\n"
        "            return pycurl.PREREQFUNC_ABORT\n",
        "",
        "tests/outbound/test_transport_curl.py"
        "::test_a_closed_kept_alive_connection_is_not_silently_sent_to_again",
    ),
    Mutant(
        "the deliveries' ledger forgets who waits",
        "service/ledger/entries.py",
        "        _delivery(version_id, node_id, DeliveryEntry.WAITING, -count),\n",
        "",
        "tests/flows/test_deliver.py::test_what_is_sent_is_recorded_told_and_balanced",
    ),
)
