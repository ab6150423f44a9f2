package reasons

// The type "kind" is the place where a reason appears, such as a recipient or the hold of an account.
type kind string

// These are the kinds of reasons. Each kind has a section in docs/reasons.md.
const (
	skipped   kind = "skipped"
	number    kind = "invalid number"
	recipient kind = "recipient"
	hold      kind = "hold"
	block     kind = "blocked_by"
	pause     kind = "pause"
)

// The type "word" has a reason, its meaning, and advice for the reader.
type word struct {
	word, means, do string
}

// The map "words" has all reasons, by kind.
var words = map[kind][]word{
	skipped: {
		{"invalid_number", "The number is not a mobile number. The code says why; see the next table.", "Correct the list and send the corrected numbers as another campaign."},
		{"duplicate", "The number was in the list before. The code `other_text` means that its text was another one.", "Nothing; or send each text with `--duplicates each`."},
		{"opted_out", "The number is on a suppression list. The code is the list: `global`, or a sender ID.", "Nothing. `tuma optout check NUMBER` shows where the entry came from."},
		{"missing_field", "The column that the code names is blank, and `--on-missing skip` applies.", "Fill the column, or give the field a default."},
		{"body_too_long", "The text with its merge fields is too long for the account.", "Shorten the text or the values."},
		{"no_route", "No route carries this number, or none of its accounts can carry this message.", "Add a route, or name an account with `--via`."},
		{"over_cap", "`--max-messages` or `--max-segments` was reached before this recipient.", "Send the rest as another campaign."},
		{"cancelled", "The campaign was cancelled before this recipient was submitted.", "Nothing."},
		{"expired", "The campaign expired before this recipient was submitted.", "Send again with a later `--expires-at`, if the message is still useful."},
	},
	number: {
		{"empty", "The value has no digits.", "Write a number."},
		{"lost_digits", "A spreadsheet has rounded the number (`2.54712E+11`).", "Format the column as text and enter the numbers again."},
		{"decimal", "The value has a decimal point, as a price has.", "Choose the right column, or format it as text."},
		{"negative", "A spreadsheet has computed the value: `+254-712345678` became `-712345424`.", "Format the column as text and enter the numbers again."},
		{"several_numbers", "The value has several numbers.", "Write each number in its own row."},
		{"not_a_number", "The value has letters or other characters, or is a date.", "Write digits only."},
		{"too_short", "The number has too few digits for its country.", "Complete it."},
		{"too_long", "The number has too many digits for its country.", "Correct it."},
		{"not_mobile", "The number is a landline, toll-free or special number.", "Use a mobile number."},
		{"unknown_country", "The country of the number is not known.", "Write it with `+` and the calling code, or set `default_country`."},
		{"invalid", "The number is not in the numbering plan of its country.", "Check the digits."},
	},
	recipient: {
		{"invalid_number", "The gateway does not accept the number. The message was not sent.", "Correct the number."},
		{"unsupported_number", "The gateway does not serve this kind of number. The message was not sent.", "Use another account for it."},
		{"blacklisted", "The number is on the gateway's blacklist. The message was not sent. Tuma adds the number to its own suppression list, if the gateway accepts other numbers of the sender in the same call, or before and after it.", "Nothing."},
		{"do_not_disturb", "The number is on Nigeria's do-not-disturb list. The message was not sent.", "Nothing."},
		{"no_route", "The gateway has no route to the network. The message was not sent.", "Use another account for it."},
		{"daily_cap", "The gateway takes no more messages to this number today. It was not sent.", "`tuma retry ID --rejected` tomorrow."},
		{"rejected_by_gateway", "The gateway or the network refused the message. It was not sent.", "Ask the gateway, with the message ID and the code."},
		{"could_not_send", "The gateway could not send the message.", "`tuma retry ID --rejected`."},
		{"gateway_error", "The gateway reports an internal fault. `rejected`: nothing was sent after several tries. `unknown`: the message may have been sent.", "`tuma retry ID`, with `--rejected` or `--unknown`."},
		{"refused", "The gateway refuses the request itself: sender, route, parameters or size. The code is the gateway's.", "See the gateway's codes below. Correct the campaign."},
		{"risk_hold", "Africa's Talking holds the traffic back. The campaign is paused.", "Ask the gateway, then `tuma resume ID`."},
		{"invalid_sender", "The gateway does not accept the sender ID.", "Register the sender ID with the gateway, or send from another one."},
		{"no_credit", "The account had no credit. The account is held.", "Top up the account."},
		{"not_sent", "The message was not sent, and its tries are used up. The code is the last one of the gateway.", "`tuma retry ID --rejected`."},
		{"not_in_reply", "The reply of the gateway did not name this recipient. If the gateway has idempotency keys, the worker has repeated the call before. The message may have been sent.", "Look it up at the gateway, then `tuma retry ID --unknown` if it must go out."},
		{"not_understood", "The reply is not what the gateway documents. The message may have been sent.", "As for `not_in_reply`. Report it with the code."},
		{"no_answer", "The request may have reached the gateway, but no answer came back. The message may have been sent.", "As for `not_in_reply`."},
		{"gateway", "The gateway, or a server in front of it, answered with an error. The message may have been sent.", "As for `not_in_reply`."},
		{"connection", "The request did not reach the gateway. The message was not sent.", "Check network and address; Tuma tries again by itself."},
		{"throttled", "The gateway takes fewer messages a second. The message was not sent.", "Lower the rate: `tuma rate ACCOUNT`. Tuma tries again by itself."},
		{"billing", "The gateway could not charge the account for the moment. The message was not sent.", "Nothing; Tuma tries again by itself."},
		{"configuration", "The address or another setting of the account is wrong.", "Correct `tuma.yaml`; `tuma check` shows more."},
		{"credentials", "The gateway refused the login.", "Correct the login; `tuma check` tries it."},
		{"credit", "The account has no credit.", "Top up the account."},
		{"reconciled", "The message is accepted: after an unknown answer, it was found at the gateway.", "Nothing."},
		{"not_found", "After an unknown answer, the message was not found at the gateway. It may still have been sent.", "As for `not_in_reply`."},
		{"no_key", "A worker ended before the answer came, and the gateway has no idempotency keys. The message may have been sent.", "As for `not_in_reply`."},
		{"key_expired", "The answer is unknown, and the gateway has forgotten the idempotency key by now. The message may have been sent.", "As for `not_in_reply`."},
		{"login_changed", "The answer is unknown, and the account now has another login, where the idempotency key is not known. The message may have been sent.", "As for `not_in_reply`."},
	},
	hold: {
		{"credit", "The gateway answers that the account has no credit.", "Top up. Tuma looks at the balance every 30 s and continues by itself; `tuma release ACCOUNT` continues at once."},
		{"credentials", "The gateway refused the login.", "Correct the login: workers take a new password without a restart, another user needs one. Tuma also tries by itself from time to time."},
		{"configuration", "The address or another setting is wrong.", "Correct `base_url` and restart the workers."},
		{"connection", "Three calls in a row, or five of the last ten, did not reach the gateway.", "Check network and address. Tuma tries again by itself."},
		{"no_answer", "Three calls in a row, or five of the last ten, got no answer.", "Tuma tries again by itself, with one call first."},
		{"gateway", "As for `no_answer`, but the gateway answered with errors.", "Tuma tries again by itself. Ask the gateway if it lasts."},
		{"not_understood", "As for `no_answer`, but the answers are not what the gateway documents.", "Check `base_url`; a proxy or a parked domain answers like this."},
		{"billing", "As for `no_answer`, but the gateway could not charge the account.", "Tuma tries again by itself."},
		{"refused", "As for `no_answer`, but the gateway refused the requests, and the account has accepted nothing lately.", "See the code in the gateway's table below."},
		{"nothing_accepted", "The account accepts nothing, and the gateway has refused 50 recipients in a row. Bulk campaigns wait.", "Check the account at the gateway, and the list; then `tuma release ACCOUNT`. Tuma also tries by itself."},
		{"throttled", "The gateway asks for a pause and the account is not used meanwhile.", "Lower the rate: `tuma rate ACCOUNT`."},
		{"manual", "`tuma hold` holds the account. With `--reason` it is that word.", "`tuma release ACCOUNT`."},
	},
	block: {
		{"paused", "The campaign is paused; `by` is the reason. See the next table.", "`tuma resume ID`, when the reason is gone."},
		{"no_route", "The campaign names no account, and the workers have no routes.", "Configure routes, or send again with `--via`."},
		{"no_worker", "No worker serves the account.", "Start `tuma worker`."},
		{"queue_paused", "The queue of the campaign's work is paused with asynq's own tools.", "Unpause it with those tools; use `tuma pause` and `tuma hold` instead."},
		{"window", "It is outside the sending hours of all remaining recipients.", "Nothing: sending begins at `until`."},
		{"later", "The gateway has deferred all remaining recipients.", "Nothing: sending continues at `until`."},
		{"set_aside", "A record of the campaign cannot be read and is in quarantine.", "`tuma status ID` names it; see docs/guarantees.md."},
	},
	pause: {
		{"too_many_rejected", "More messages than `--max-rejected` allows are rejected or unknown.", "`tuma report ID` shows the reasons. Then `tuma resume ID` or `tuma cancel ID`."},
		{"gateway:CODE", "The gateway refuses the whole campaign: its text or its sender. CODE is the gateway's code, or the cause.", "See the gateway's table below. Cancel, correct and send again; or have the gateway correct it and `tuma resume ID`."},
		{"anything else", "A person or a program paused the campaign: the word is its name.", "`tuma resume ID`."},
	},
}
