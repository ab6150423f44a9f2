package textconnect

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/sms"
)

const one, two, three sms.MSISDN = 447777777771, 447777777772, 447777777773

func nums(to ...sms.MSISDN) []sms.MSISDN                 { return to }
func res(results ...providers.Result) []providers.Result { return results }

func accepted(id string) providers.Result {
	return providers.Result{Outcome: providers.Accepted, MessageID: id}
}

func rejected(reason, code string) providers.Result {
	return providers.Result{Outcome: providers.Rejected, Reason: reason, Code: code}
}

func doubt(reason, code string) providers.Result { return providers.Result{Reason: reason, Code: code} }

var (
	garbled  = doubt("not_understood", "")
	noCredit = providers.Result{Outcome: providers.Retryable, Scope: providers.Account, Cause: providers.CauseCredit, Reason: "credit", Code: "-100"}
	tomorrow = providers.Result{Outcome: providers.Retryable, Reason: "daily_cap", Code: "-411", RetryAfter: 24 * time.Hour}
	badFrom  = providers.Result{Outcome: providers.Rejected, Scope: providers.Campaign, Cause: providers.CauseRefused, Reason: "refused", Code: "-402"}
)

func TestParseSend_ResultsByPosition(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		body string
		to   []sms.MSISDN
		want []providers.Result // nil: not understood
	}{
		"one id":                        {"3509592", nums(one), res(accepted("3509592"))},
		"two ids":                       {"3509592,3509593", nums(one, two), res(accepted("3509592"), accepted("3509593"))},
		"white space":                   {"\r\n 3509592 , 3509593\t\r\n", nums(one, two), res(accepted("3509592"), accepted("3509593"))},
		"mixed":                         {"3509592,-401,3509593", nums(one, two, three), res(accepted("3509592"), rejected("invalid_number", "-401"), accepted("3509593"))},
		"all kinds of refusal":          {"-200,-406,-412", nums(one, two, three), res(rejected("invalid_number", "-200"), rejected("no_route", "-406"), rejected("blacklisted", "-412"))},
		"the number's day is full":      {"-411,3509592", nums(one, two), res(tomorrow, accepted("3509592"))},
		"one number, its day is full":   {"-411", nums(one), res(tomorrow)},
		"one number, refused":           {"-401", nums(one), res(rejected("invalid_number", "-401"))},
		"one number, text beneath":      {"-412\nNumber is blacklisted", nums(one), res(rejected("blacklisted", "-412"))},
		"mixed, text beneath":           {"3509592,-401\nInvalid Destination Address", nums(one, two), res(accepted("3509592"), rejected("invalid_number", "-401"))},
		"credit ran out":                {"3509592,-100", nums(one, two), res(accepted("3509592"), noCredit)},
		"sender refused for each":       {"-402,-402", nums(one, two), res(badFrom, badFrom)},
		"trouble at one":                {"3509592,-300", nums(one, two), res(accepted("3509592"), doubt("gateway_error", "-300"))},
		"a code of other actions":       {"3509592,-503", nums(one, two), res(accepted("3509592"), doubt("not_understood", "-503"))},
		"an unknown code":               {"3509592,-999", nums(one, two), res(accepted("3509592"), doubt("not_understood", "-999"))},
		"only unknown codes":            {"-998,-999", nums(one, two), res(doubt("not_understood", "-998"), doubt("not_understood", "-999"))},
		"one entry garbled":             {"3509592,abc", nums(one, two), res(accepted("3509592"), garbled)},
		"one entry empty":               {"3509592,,3509593", nums(one, two, three), res(accepted("3509592"), garbled, accepted("3509593"))},
		"an id twice":                   {"3509592,3509592,3509593", nums(one, two, three), res(garbled, garbled, accepted("3509593"))},
		"an id thrice":                  {"3509592,3509592,3509592", nums(one, two, three), res(garbled, garbled, garbled)},
		"a number given back":           {"3509592,447777777771", nums(one, two), res(accepted("3509592"), garbled)},
		"an id with a sign":             {"3509592,+3509593", nums(one, two), res(accepted("3509592"), garbled)},
		"an id with a fraction":         {"3509592,3509593.0", nums(one, two), res(accepted("3509592"), garbled)},
		"an id beyond any":              {"3509592,1234567890123456789", nums(one, two), res(accepted("3509592"), garbled)},
		"an id from zero":               {"3509592,0509593", nums(one, two), res(accepted("3509592"), garbled)},
		"a status for an id":            {"3509592,200", nums(one, two), res(accepted("3509592"), garbled)},
		"a code from zero":              {"3509592,-0401", nums(one, two), res(accepted("3509592"), garbled)},
		"a code in brackets":            {"3509592,(-401)", nums(one, two), res(accepted("3509592"), garbled)},
		"a minus":                       {"3509592,-", nums(one, two), res(accepted("3509592"), garbled)},
		"a huge code":                   {"3509592,-99999999999999999999", nums(one, two), res(accepted("3509592"), garbled)},
		"numbers given back":            {"447777777771,447777777772", nums(one, two), nil},
		"an id missing":                 {"3509592,3509593", nums(one, two, three), nil},
		"an id too many":                {"3509592,3509593,3509594", nums(one, two), nil},
		"two ids for one number":        {"3509592,3509593", nums(one), nil},
		"one id for two numbers":        {"3509592", nums(one, two), nil},
		"a comma at the end":            {"3509592,3509593,", nums(one, two), nil},
		"ids in lines":                  {"3509592\n3509593", nums(one, two), nil},
		"cut in an id, one missing":     {"3509592,35095", nums(one, two, three), nil},
		"the 1 of a list":               {"1", nums(one), nil},
		"a status":                      {"200", nums(one), nil},
		"OK":                            {"OK", nums(one), nil},
		"empty":                         {"", nums(one), nil},
		"white space alone":             {" \r\n\t", nums(one), nil},
		"commas":                        {",", nums(one, two), nil},
		"words":                         {"Hello, world", nums(one, two), nil},
		"JSON object":                   {`{"id":"3509592"}`, nums(one), nil},
		"JSON list":                     {`["3509592","3509593"]`, nums(one, two), nil},
		"quotes":                        {`"3509592"`, nums(one), nil},
		"HTML":                          {"<html>\n3509592\n</html>", nums(one), nil},
		"HTML with as many commas":      {"<p>We, the people</p>", nums(one, two), nil},
		"a warning before the ids":      {"Notice: undefined index\n3509592", nums(one), nil},
		"Arabic digits":                 {"٣٥٠٩٥٩٢", nums(one), nil},
		"an id behind a byte order":     {"\ufeff3509592", nums(one), nil},
		"an id behind a binary zero":    {"\x003509592", nums(one), nil},
		"ten million of one sign":       {strings.Repeat("9", 10<<20), nums(one), nil},
		"ten million commas":            {strings.Repeat(",", 10<<20), nums(one, two), nil},
		"ten million signs below an id": {"3509592\n" + strings.Repeat("x", 10<<20), nums(one), res(accepted("3509592"))},
	} {
		got, e := parseSend([]byte(tc.body), tc.to, false)
		if e != nil {
			t.Errorf("%s: got the error %v, want none", name, e)
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestParseSend_AllMessageIDsAreKept(t *testing.T) {
	t.Parallel()
	for body, want := range map[string][]providers.Result{
		"3509592":                 res(accepted("3509592")),
		"3509592,3509593,3509594": res(providers.Result{Outcome: providers.Accepted, MessageID: "3509592", SegmentIDs: "3509593,3509594"}),
		"-401":                    res(rejected("invalid_number", "-401")),
		"3509592,-401":            nil,
		"-401,-401":               nil,
		"3509592,":                nil,
		"3509592,3509592":         nil,
		"1001,1002,1003,1004,1005,1006,1007,1008": nil,
	} {
		got, e := parseSend([]byte(body), nums(one), true)
		if diff := cmp.Diff(want, got); diff != "" || e != nil {
			t.Errorf("%q: got the error %v (-want +got):\n%s", body, e, diff)
		}
	}
	if got, e := parseSend([]byte("3509592,3509593,3509594"), nums(one, two), true); got != nil || e != nil {
		t.Errorf("several IDs for several numbers: got %v and the error %v, want neither", got, e)
	}
}

// In these tests a call has several recipients, and the whole answer is one code. Each key of the map
// "verdicts" is the expected error, and its value lists the codes. The lists are from the design
// document of this provider, and not from the map "codes".
var verdicts = map[string]string{
	"retryable account gateway":     "-511 -513",
	"retryable account credit":      "-100 -101",
	"retryable account credentials": "-501 -512 -514 -515",
	"rejected campaign refused":     "-402 -403 -405 -407 -408 -409 -410 -414 -502 -506 -516 -518 -520",
	"rejected text refused":         "-404 -507 -519",
	"rejected call refused":         "-200 -401 -406 -411 -412",
	"unknown call gateway":          "-300 -301 -302 -303 -400",
	"unknown call not_understood":   "-503 -504 -505 -508 -509 -510 -517 -521 -522 -523 -601 -701 -702 -703",
	"unknown call not_understood ":  "-1 -99 -413 -999 -999999", // not on the vendor's page
}

func TestParseSend_SingleCodeIsForTheCall(t *testing.T) {
	t.Parallel()
	seen := 0
	for want, list := range verdicts {
		for word := range strings.FieldsSeq(list) {
			for _, tail := range []string{"", "\r\n", "\nSome text, with commas,\nand 3509592"} {
				results, e := parseSend([]byte(word+tail), nums(one, two), false)
				if results != nil || e == nil {
					t.Errorf("%s: got the results %v and the verdict %v, want only a verdict", word, results, e)
					continue
				}
				if got := fmt.Sprint(e.Outcome, " ", e.Scope, " ", e.Cause); got != strings.TrimSpace(want) || e.Code != word || e.KeepKey || e.RetryAfter != 0 {
					t.Errorf("%s: got %s, want %s: %+v", word, got, want, e)
				}
			}
			if n, _ := parseCode(word); codes[n].text != "" {
				seen++
			}
		}
	}
	if seen != len(codes) {
		t.Errorf("verdicts has %d of the codes in the table codes, want all %d", seen, len(codes))
	}
}

func TestParseSend_SingleCallCodeOfOneRecipient(t *testing.T) {
	t.Parallel()
	for want, list := range verdicts {
		if want == "rejected call refused" {
			continue
		}
		for word := range strings.FieldsSeq(list) {
			results, e := parseSend([]byte(word), nums(one), false)
			if results != nil || e == nil || fmt.Sprint(e.Outcome, " ", e.Scope, " ", e.Cause) != strings.TrimSpace(want) {
				t.Errorf("%s: got %v %v, want %s", word, results, e, want)
			}
		}
	}
}

func TestParseSend_CodeOfARecipientMeansTheSame(t *testing.T) {
	t.Parallel()
	for n, c := range codes {
		results, e := parseSend(fmt.Appendf(nil, "3509592,%d", n), nums(one, two), false)
		if e != nil || len(results) != 2 {
			t.Errorf("code %d: got the results %v and the error %v, want 2 results", n, results, e)
			continue
		}
		r := results[1]
		if r.Outcome != c.outcome || r.Code != fmt.Sprint(n) || r.MessageID != "" || r.Reason == "" || strings.ToLower(r.Reason) != r.Reason {
			t.Errorf("code %d: got %+v, want the outcome and the code, and a reason in lower case", n, r)
		}
		if wide := r.Scope >= providers.Text; wide != (r.Cause != "") {
			t.Errorf("code %d: got the scope %v with the cause %q, want a cause exactly for the scopes text, campaign and account", n, r.Scope, r.Cause)
		}
	}
}

// FuzzParseSend compares the parser with a slower and simpler parser.
func FuzzParseSend(f *testing.F) {
	for _, seed := range []string{
		"3509592,3509593,3509594", "3509592,-401,3509594", "-401", "-511\nThe system is down for maintenance", "3509592,3509592,3509593",
		"447777777771,447777777772,447777777773", "-300,-301,-999", "3509592,,", "1", "", "<html>,,", "3509592\n3509593\n3509594", " 3509592 ,-411 , 12345",
	} {
		f.Add([]byte(seed))
	}
	to := nums(one, two, three)
	f.Fuzz(func(t *testing.T, body []byte) {
		before := slices.Clone(body)
		results, e := parseSend(body, to, false)
		if !slices.Equal(before, body) {
			t.Fatal("the parser changed the body, want it unchanged")
		}
		line, _, _ := strings.Cut(strings.TrimSpace(string(body)), "\n")
		entries := strings.Split(strings.TrimSpace(line), ",")
		switch {
		case e != nil:
			if results != nil || e.Outcome == providers.Accepted || e.Code != strings.TrimSpace(line) || !strings.HasPrefix(e.Code, "-") {
				t.Fatalf("%q: got the error %v with results %v, want an error with the code in the body, without results", body, e, results)
			}
			return
		case results == nil:
			return
		case len(results) != len(to) || len(entries) != len(to):
			t.Fatalf("%q: got %d results of %d entries, want one for each recipient", body, len(results), len(entries))
		}
		for i, r := range results {
			entry := strings.TrimSpace(entries[i])
			if r.Outcome == providers.Accepted {
				if r.MessageID != entry || r.Code != "" || !vouches(entry) || count(entries, entry) > 1 {
					t.Fatalf("%q: recipient %d: got %+v, want the entry as ID only if the entry is a unique message ID", body, i, r)
				}
				continue
			}
			if r.MessageID != "" || r.Reason == "" || r.Code != "" && r.Code != entry || vouches(entry) && count(entries, entry) == 1 {
				t.Fatalf("%q: recipient %d: got %+v, want a reason and no ID", body, i, r)
			}
			if r.Outcome != providers.Unknown && !strings.HasPrefix(entry, "-") {
				t.Fatalf("%q: recipient %d: got %+v, want unknown unless the entry is a code", body, i, r)
			}
		}
	})
}

// vouches reports whether an entry is a message ID. A message ID has 4 to 18 digits without a leading
// zero, and is not the number of a recipient.
func vouches(entry string) bool {
	for _, c := range entry {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(entry) >= 4 && len(entry) <= 18 && entry[0] != '0' && !slices.Contains([]string{one.String(), two.String(), three.String()}, entry)
}

func count(entries []string, entry string) (n int) {
	for _, e := range entries {
		if strings.TrimSpace(e) == entry {
			n++
		}
	}
	return n
}
