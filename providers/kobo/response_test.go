package kobo

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/sms"
)

const (
	one, two, three sms.MSISDN = 2348030000000, 2348030000011, 2348030000022
	idA                        = "42138969-09f9-434d-a3c6-db5733fba736"
	idB                        = "974790b3-e598-41a8-939b-772d16860fb4"
)

func accepted(id string) providers.Result {
	return providers.Result{Outcome: providers.Accepted, MessageID: id}
}

var missing = providers.Result{Reason: "not_in_reply"}

func noID(code string) providers.Result {
	return providers.Result{Reason: "not_understood", Code: code}
}

func TestParseAnswer_MessageIDs(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		body string
		to   []sms.MSISDN
		want []providers.Result // nil: not understood
	}{
		"the vendor's sample, one":       {"2348030000000,24137cf8-eccc-469c-80af-109538857e53", nums(one), res(accepted("24137cf8-eccc-469c-80af-109538857e53"))},
		"the vendor's sample, two":       {"2348030000000," + idA + "~2348030000011," + idB, nums(one, two), res(accepted(idA), accepted(idB))},
		"the vendor's short IDs":         {"2348030000000,4b1d777e~2348030000011,47e63835", nums(one, two), res(accepted("4b1d777e"), accepted("47e63835"))},
		"other order":                    {"2348030000011," + idB + "~2348030000000," + idA, nums(one, two), res(accepted(idA), accepted(idB))},
		"white space":                    {" \n2348030000000 , " + idA + " ~ 2348030000011,\t" + idB + "\r\n", nums(one, two), res(accepted(idA), accepted(idB))},
		"JSON quotes":                    {`"2348030000000,` + idA + `"` + "\n", nums(one), res(accepted(idA))},
		"tilde at the end":               {"2348030000000," + idA + "~", nums(one), res(accepted(idA))},
		"first missing":                  {"2348030000011," + idB, nums(one, two), res(missing, accepted(idB))},
		"last missing":                   {"2348030000000," + idA, nums(one, two), res(accepted(idA), missing)},
		"middle missing":                 {"2348030000000," + idA + "~2348030000022," + idB, nums(one, two, three), res(accepted(idA), missing, accepted(idB))},
		"a number not in the call":       {"2348030000022," + idA + "~2348030000000," + idB, nums(one, two), res(accepted(idB), missing)},
		"only numbers not in the call":   {"2348030000022," + idA, nums(one, two), nil},
		"named twice":                    {"2348030000000," + idA + "~2348030000000," + idB, nums(one, two), res(accepted(idA), missing)},
		"named twice, then refused":      {"2348030000000," + idA + "~2348030000000,error_gw", nums(one, two), res(noID("error_gw"), missing)},
		"refused, then named":            {"2348030000000,error_gw~2348030000000," + idA, nums(one), res(noID("error_gw"))},
		"an error code instead of an ID": {"2348030000000,error_number~2348030000011," + idB, nums(one, two), res(noID("error_number"), accepted(idB))},
		"text instead of an ID":          {"2348030000000,rejected~2348030000011," + idB, nums(one, two), res(noID(""), accepted(idB))},
		"sent instead of an ID":          {"2348030000000,sent", nums(one), res(noID(""))},
		"ERROR with a digit":             {"2348030000000,ERROR_404", nums(one), res(noID(""))},
		"an empty id":                    {"2348030000000,~2348030000011, ", nums(one, two), res(noID(""), noID(""))},
		"an id too short":                {"2348030000000,4b1d777", nums(one), res(noID(""))},
		"an id too long":                 {"2348030000000," + strings.Repeat("4b1d777e", 8) + "0", nums(one), res(noID(""))},
		"an id with odd signs":           {"2348030000000,<b>4b1d777e</b>", nums(one), res(noID(""))},
		"more than an id":                {"2348030000000," + idA + "," + idB, nums(one), res(noID(""))},
		"numbers given back":             {"2348030000000,2348030000011", nums(one, two), res(noID(""), missing)},
		"a number of ids":                {"2348030000000,2348099999999", nums(one, two), res(accepted("2348099999999"), missing)},
		"cut in an id":                   {"2348030000000," + idA + "~2348030000011,9747", nums(one, two), res(accepted(idA), noID(""))},
		"cut in a number":                {"2348030000000," + idA + "~23480300000", nums(one, two), res(accepted(idA), missing)},
		"plus":                           {"+2348030000000," + idA, nums(one), nil},
		"national form":                  {"08030000000," + idA, nums(one), nil},
		"zeros before":                   {"002348030000000," + idA, nums(one), nil},
		"number too long":                {"23480300000001234," + idA, nums(one), nil},
		"number that would overflow":     {"18446746421739551616," + idA, nums(one), nil},
		"no comma":                       {"2348030000000 " + idA, nums(one), nil},
		"number only":                    {"2348030000000", nums(one), nil},
		"empty":                          {"", nums(one), nil},
		"tildes":                         {"~~~", nums(one), nil},
		"quotes":                         {`""`, nums(one), nil},
		"one quote":                      {`"`, nums(one), nil},
		"row number":                     {"1", nums(one), nil},
		"row number of refusal":          {"3", nums(one), nil},
		"JSON object":                    {`{"status":"sent"}`, nums(one), nil},
		"JSON list":                      {`["2348030000000,` + idA + `"]`, nums(one), nil},
		"HTML":                           {"<html><body>2348030000000," + idA + "</body></html>", nums(one), nil},
		"SENT":                           {"SENT", nums(one), nil},
		"sent and more":                  {"sent 1", nums(one), nil},
		"two pairs of quotes":            {`""sent""`, nums(one), nil},
		"error and more":                 {"error_credit: 0", nums(one), nil},
	} {
		got, e := parseAnswer([]byte(tc.body), tc.to)
		if e != nil {
			t.Errorf("%s: got the error %v, want none", name, e)
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func nums(to ...sms.MSISDN) []sms.MSISDN                 { return to }
func res(results ...providers.Result) []providers.Result { return results }

func TestParseAnswer_SentWithoutIDsIsAccepted(t *testing.T) {
	t.Parallel()
	for _, body := range []string{"sent", " sent\n", `"sent"`, `" sent "`} {
		got, e := parseAnswer([]byte(body), nums(one, two))
		if diff := cmp.Diff(res(accepted(""), accepted("")), got); diff != "" || e != nil {
			t.Errorf("%q: got the error %v, want none; results (-want +got): %s", body, e, diff)
		}
	}
}

func TestVerdict_OfEveryRefusal(t *testing.T) {
	t.Parallel()
	want := map[string]providers.Error{
		"error_param":               {Outcome: providers.Rejected, Scope: providers.Text, Cause: providers.CauseRefused},
		"error_credit":              {Outcome: providers.Retryable, Scope: providers.Account, Cause: providers.CauseCredit},
		"error_billing":             {Outcome: providers.Retryable, Scope: providers.Account, Cause: providers.CauseBilling},
		"error_gw":                  {Outcome: providers.Retryable, Scope: providers.Account, Cause: providers.CauseGateway, KeepKey: true},
		"error_user":                {Outcome: providers.Retryable, Scope: providers.Account, Cause: providers.CauseCredentials},
		"error_limit":               {Outcome: providers.Rejected, Scope: providers.Call, Cause: providers.CauseRefused},
		"error_number":              {Outcome: providers.Rejected, Scope: providers.Call, Cause: providers.CauseRefused},
		"error_restricted_senderid": {Outcome: providers.Rejected, Scope: providers.Campaign, Cause: providers.CauseRefused},
		"error_msgid":               {Outcome: providers.Rejected, Scope: providers.Campaign, Cause: providers.CauseRefused},
		"error_user_id":             {Outcome: providers.Rejected, Scope: providers.Campaign, Cause: providers.CauseRefused},
	}
	if len(want) != len(answers) {
		t.Errorf("%d words tested, %d known", len(want), len(answers))
	}
	for word, verdict := range want {
		verdict.Code = word
		for _, body := range []string{word, word + "\r\n", `"` + word + `"`} {
			results, e := parseAnswer([]byte(body), nums(one))
			if results != nil || e == nil {
				t.Errorf("%q: got the results %v and the verdict %v, want only a verdict", body, results, e)
				continue
			}
			if diff := cmp.Diff(verdict, *e); diff != "" {
				t.Errorf("%q (-want +got):\n%s", body, diff)
			}
		}
	}
	undocumented := providers.Error{Outcome: providers.Unknown, Scope: providers.Call, Cause: providers.CauseNotUnderstood, Code: "error_unheard_of"}
	if results, e := parseAnswer([]byte(" error_unheard_of\n"), nums(one)); results != nil || e == nil || *e != undocumented {
		t.Errorf("an undocumented error code: got %v, %v, want unknown", results, e)
	}
	if answers["error_gw"].Code != "" {
		t.Error("the calls changed the shared table answers, want it unchanged")
	}
}

// FuzzParseAnswer compares the parser with a slower and simpler parser.
func FuzzParseAnswer(f *testing.F) {
	for _, seed := range []string{
		"sent", "error_limit", "2348030000000," + idA + "~2348030000011, " + idB, "2348030000011," + idB + "~2348030000000," + idA,
		"2348030000000,error_gw~2348030000000," + idA, `"2348030000022,4b1d777e"`, "~,~2348030000000,", "<html>",
	} {
		f.Add([]byte(seed))
	}
	to := nums(one, two, three)
	f.Fuzz(func(t *testing.T, body []byte) {
		before := slices.Clone(body)
		results, e := parseAnswer(body, to)
		if !slices.Equal(before, body) {
			t.Fatal("the parser changed the body, want it unchanged")
		}
		switch {
		case e != nil:
			if results != nil || e.Outcome == providers.Accepted || len(e.Code) > 64 || e.Outcome == providers.Unknown && !strings.HasPrefix(e.Code, "error") {
				t.Fatalf("%q: got the error %v with results %v, want a permitted error without results", body, e, results)
			}
			return
		case results == nil:
			return
		case len(results) != len(to):
			t.Fatalf("%q: got %d results, want one for each recipient", body, len(results))
		}
		for i, r := range results {
			ids := idsBeside(string(body), to[i])
			switch {
			case r.Outcome == providers.Accepted && r.MessageID == "":
				if strings.Trim(string(body), "\" \t\r\n\v\f\u0085\u00a0\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000\u1680") != "sent" {
					t.Fatalf("%q: accepted without an ID, want that only for the reply \"sent\"", body)
				}
			case r.Outcome == providers.Accepted:
				if len(ids) == 0 || ids[0] != r.MessageID || !plausible(ids) {
					t.Fatalf("%q: %s is accepted with the ID %q, but the IDs after its number are %q", body, to[i], r.MessageID, ids)
				}
			case r.Outcome != providers.Unknown || r.Reason == "" || r.MessageID != "" || len(r.Code) > 64:
				t.Fatalf("%q: got the contradictory result %+v, want a consistent one", body, r)
			case len(ids) > 0 && plausible(ids):
				t.Fatalf("%q: %s has the IDs %q in the reply and is unknown, want accepted", body, to[i], ids)
			}
		}
	})
}

// idsBeside returns the texts in the reply that follow the given number and a comma.
func idsBeside(reply string, number sms.MSISDN) (ids []string) {
	reply = strings.TrimSpace(reply)
	if len(reply) > 1 && strings.HasPrefix(reply, `"`) && strings.HasSuffix(reply, `"`) {
		reply = reply[1 : len(reply)-1]
	}
	for _, entry := range strings.Split(reply, "~") {
		left, right, found := strings.Cut(entry, ",")
		if found && strings.TrimRight(strings.TrimLeftFunc(left, unicode.IsSpace), " \t") == number.String() {
			ids = append(ids, strings.TrimSpace(right))
		}
	}
	return ids
}

func plausible(ids []string) bool {
	for _, id := range ids {
		if len(id) < 8 || len(id) > 64 || strings.HasPrefix(strings.ToLower(id), "err") ||
			len(id) <= 15 && slices.Contains([]string{one.String(), two.String(), three.String()}, strings.TrimLeft(id, "0")) {
			return false
		}
		for _, c := range id {
			if !strings.ContainsRune("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_", c) {
				return false
			}
		}
		if !strings.ContainsAny(id, "0123456789") && strings.Trim(id, "abcdefABCDEF-") != "" {
			return false
		}
	}
	return true
}

func TestParseCredit_Amounts(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]float64{"1234": 1234, "1,234.50": 1234.5, " 12.50\n": 12.5, `"7"`: 7, "-3.25": -3.25, "0": 0} {
		if got, ok := parseCredit([]byte(body)); !ok || got != want {
			t.Errorf("%q: got %v %v, want %v", body, got, ok, want)
		}
	}
	for _, body := range []string{"", "-", ".", "1,23", "NGN 5", "1e5", "0x10", "inf", "NaN", "1_000", "--1", "1-2", `{"credit":1}`, "sent", "error_user"} {
		if got, ok := parseCredit([]byte(body)); ok {
			t.Errorf("%q: got %v, want no credit", body, got)
		}
	}
}

// FuzzParseCredit checks that parseCredit accepts only a body of digits, commas, points and a minus
// sign.
func FuzzParseCredit(f *testing.F) {
	for _, seed := range []string{"1234", ` "12.50" `, "-3", "1,234.50", "error_user", ""} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		amount, ok := parseCredit(body)
		if !ok && amount != 0 {
			t.Fatalf("%q: not understood, but got %v, want 0", body, amount)
		}
		text := strings.TrimFunc(string(body), func(r rune) bool { return r == '"' || unicode.IsSpace(r) })
		if ok && (strings.Trim(text, "0123456789.,-") != "" || (amount < 0) && text[0] != '-') {
			t.Fatalf("%q: got %v for a text that is not an amount", body, amount)
		}
		if digits := strings.Trim(text, "0123456789") == "" && text != "" && len(text) < 16 && len(body) == len(text); digits && (!ok || fmt.Sprintf("%015.0f", amount) != fmt.Sprintf("%015s", text)) {
			t.Fatalf("%q: got %v %v, want the number in the body and true", body, amount, ok)
		}
	})
}

// FuzzParseReport checks that every parsed state begins with a known word, is part of the body and is short.
func FuzzParseReport(f *testing.F) {
	for _, seed := range []string{"DELIVRD", "UNDELIV err:0dc", "\"EXPIRED 12\"\n", "enroute", "DELIVRDX", "error_user", ""} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		report, ok := parseReport(body)
		if !ok {
			if report != (providers.MessageStatus{}) {
				t.Fatalf("%q: not understood, but got %+v, want an empty status", body, report)
			}
			return
		}
		word, _, _ := strings.Cut(report.State, " ")
		known, isWord := states[strings.ToUpper(word)]
		if !isWord && report == (providers.MessageStatus{State: word}) && strings.Contains(string(body), word) && !strings.HasPrefix(word, "err") {
			return // a state that the gateway does not document
		}
		if !isWord || known.Final != report.Final || report.Delivered != strings.EqualFold(word, "DELIVRD") ||
			len(report.State) > 64 || !strings.Contains(string(body), report.State) {
			t.Fatalf("%q: got %+v, want a known state that the body contains", body, report)
		}
	})
}

func TestParseReport_States(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]providers.MessageStatus{
		"DELIVRD":          {Final: true, Delivered: true, State: "DELIVRD"},
		"UNDELIV err:0dc":  {Final: true, State: "UNDELIV err:0dc"},
		"\"EXPIRED 12\"\n": {Final: true, State: "EXPIRED 12"},
		"REJECTD by net":   {Final: true, State: "REJECTD by net"},
		"DELETED":          {Final: true, State: "DELETED"},
		"ACCEPTD":          {State: "ACCEPTD"},
		"enroute":          {State: "enroute"},
		"UNKNOWN":          {State: "UNKNOWN"},
		"PROCESSED":        {State: "PROCESSED"},
		"\"Pending\"":      {State: "Pending"},
		"SUBMITD":          {State: "SUBMITD"},
		"delivered":        {State: "delivered"},
	} {
		if got, ok := parseReport([]byte(body)); !ok || got != want {
			t.Errorf("%q: got %+v %v, want %+v", body, got, ok, want)
		}
	}
	for _, body := range []string{"", "NOT DELIVRD", "<html>", "1", "error_user", "error_unheard", "ERROR", "PROCESSED soon", "7DELIVRD", strings.Repeat("X", 33), "UNDELIV \x00", "UNDELIV " + strings.Repeat("x", 64)} {
		if got, ok := parseReport([]byte(body)); ok {
			t.Errorf("%q: got %+v, want no status", body, got)
		}
	}
}

func manyNumbers(n int) []sms.MSISDN {
	to := make([]sms.MSISDN, n)
	for i := range to {
		to[i] = one + sms.MSISDN(i)
	}
	return to
}

func replyFor(to []sms.MSISDN) []byte {
	var entries []string
	for i, n := range to {
		entries = append(entries, fmt.Sprintf("%d,%08x-09f9-434d-a3c6-db5733fba736", n, i))
	}
	return []byte(strings.Join(entries, "~"))
}

func TestParseAnswer_FewAllocations(t *testing.T) {
	to := manyNumbers(500)
	body := replyFor(to)
	if n := testing.AllocsPerRun(20, func() {
		if results, _ := parseAnswer(body, to); results[499].MessageID == "" {
			t.Fatal("recipient 499 has no message ID, want all recipients accepted")
		}
	}); n > 2 {
		t.Errorf("%v allocations in order, want 2", n)
	}
	batch := providers.Batch{IdempotencyKey: idA, From: "ACME", Body: "Hello & good bye ₦", To: to}
	login := loginForm("demo", "demopass")
	if n := testing.AllocsPerRun(20, func() { sendForm(login, batch) }); n > 1 {
		t.Errorf("%v allocations of a form, want 1", n)
	}
}

func BenchmarkParseAnswer500(b *testing.B) {
	to := manyNumbers(500)
	body := replyFor(to)
	shuffled := slices.Clone(to)
	slices.Reverse(shuffled)
	for name, asked := range map[string][]sms.MSISDN{"in-order": to, "reversed": shuffled} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				parseAnswer(body, asked)
			}
		})
	}
}

func BenchmarkSendForm500(b *testing.B) {
	batch := providers.Batch{IdempotencyKey: idA, From: "ACME", Body: strings.Repeat("Hello world. ", 12), To: manyNumbers(500)}
	login := loginForm("demo", "demopass")
	b.ReportAllocs()
	for b.Loop() {
		sendForm(login, batch)
	}
}
