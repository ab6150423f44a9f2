package connectmedia

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/providers/connectmedia/connectmediasim"
	"github.com/tuma-sms/tuma/providers/providertest"
	"github.com/tuma-sms/tuma/sms"
)

var key = providers.Secret(strings.Repeat("k", 64))

// The function "keyed" returns a provider of the current API. Its server returns the same answer to every request.
func keyed(t *testing.T, status int, body string) (*Provider, <-chan request) {
	t.Helper()
	seen := make(chan request, 8)
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent, _ := io.ReadAll(r.Body)
		seen <- request{method: r.Method, uri: r.RequestURI, body: string(sent), header: r.Header}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(web.Close)
	p, err := New(Config{Endpoint: providers.Endpoint{BaseURL: web.URL}, APIKey: key})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.client.CloseIdle)
	return p, seen
}

// TestCurrentAPI_PassesTheSuite runs the suite of every provider on an account with an API key.
func TestCurrentAPI_PassesTheSuite(t *testing.T) {
	t.Parallel()
	kind := Kind()
	kind.Required, kind.Instead = kind.Instead, nil
	t.Run("suite", func(t *testing.T) { providertest.Run(t, kind, connectmediasim.New) })
	if ran, all := providertest.Ran(Name), providertest.Checks(); len(all) == 0 || !slices.Equal(ran, all) {
		t.Errorf("completed %d of %d checks, want all: %q", len(ran), len(all), ran)
	}
}

// TestCurrentAPI_RequestsOfTheVendorsClients compares the requests with the requests that the tests
// of the vendor's own clients expect (connectmedia-php, tests/run.php).
func TestCurrentAPI_RequestsOfTheVendorsClients(t *testing.T) {
	t.Parallel()
	start, end := time.Date(2026, 8, 31, 21, 30, 0, 0, time.UTC), time.Date(2026, 9, 2, 20, 59, 0, 0, time.UTC)
	for name, tc := range map[string]struct {
		reply, want string
		do          func(*Provider) error
	}{
		"send": {`{"code":"201","message":"Queued"}`, `{"action":"send","to":"254712345678,254733000111","message":"Hi <é> 100% +","sender":"Brand"}`, func(p *Provider) error {
			_, err := p.Send(t.Context(), providers.Batch{From: "Brand", Body: "Hi <é> 100% +", To: []sms.MSISDN{254712345678, 254733000111}})
			return err
		}},
		"the default sender": {`{"code":"201","message":"Queued"}`, `{"action":"send","to":"254712345678","message":"Hi"}`, func(p *Provider) error {
			_, err := p.Send(t.Context(), providers.Batch{Body: "Hi", To: []sms.MSISDN{254712345678}})
			return err
		}},
		"schedule": {`{"code":"201","message":"ok"}`, `{"action":"send","to":"254712345678,254722000000","message":"Hi","schedule":1,"schedule_datetime":"2026-12-01 09:00:00"}`, func(p *Provider) error {
			_, err := Kind().Actions[0].Do(t.Context(), p, map[string]string{"to": "0712345678, 0722000000", "message": "Hi", "schedule_datetime": "2026-12-01 09:00:00"})
			return err
		}},
		"balance": {`{"code":"200","message":"ok","data":{"balance":1}}`, `{"action":"balance"}`, func(p *Provider) error { _, err := p.Balance(t.Context()); return err }},
		"history": {`{"code":"202","message":"ok","data":{}}`, `{"action":"history","limit":500,"offset":0,"start_date":"2026-09-01","end_date":"2026-09-02"}`, func(p *Provider) error {
			_, err := p.Report(t.Context(), "history", start, end)
			return err
		}},
		"history without bounds": {`{"code":"202","message":"ok"}`, `{"action":"history","limit":500,"offset":0}`, func(p *Provider) error {
			_, err := p.Report(t.Context(), "history", time.Time{}, time.Time{})
			return err
		}},
		"inbox": {`{"code":"302","message":"ok"}`, `{"action":"inbox","limit":1000}`, func(p *Provider) error { _, err := p.Inbox(t.Context(), ""); return err }},
	} {
		p, seen := keyed(t, 200, tc.reply)
		if err := tc.do(p); err != nil {
			t.Errorf("%s: got the error %v, want none", name, err)
		}
		got := <-seen
		if got.method != http.MethodPost || got.uri != "/api.php" || got.body != tc.want || !json.Valid([]byte(got.body)) {
			t.Errorf("%s: got %s %s with\n%s, want POST /api.php with\n%s", name, got.method, got.uri, got.body, tc.want)
		}
		if auth, kind := got.header.Get("Authorization"), got.header.Get("Content-Type"); auth != "Bearer "+key.Reveal() || kind != "application/json" {
			t.Errorf("%s: got Authorization %q and Content-Type %q, want the bearer key and JSON", name, auth, kind)
		}
		if len(seen) != 0 {
			t.Errorf("%s: got %d more requests, want none", name, len(seen))
		}
	}
}

func TestCurrentAPI_ResultsAsFarAsTheReplyVouches(t *testing.T) {
	t.Parallel()
	const yes, no, maybe = "accepted", "rejected", "unknown"
	to := []sms.MSISDN{254712345601, 254712345602, 254712345603}
	for body, want := range map[string]string{
		`{"code":"201","message":"Queued"}`:                                                                yes + yes + yes,
		`{"code":201,"message":"Queued","data":{"recipients":3,"cost":"2.40"}}`:                            yes + yes + yes,
		`{"code":"201","data":{"sent":6,"failed":0,"invalid":[],"errors":null}}`:                           yes + yes + yes,
		`{"code":"201","data":{"recipients":2,"invalid":["254712345602"]}}`:                                yes + no + yes,
		`{"code":"201","data":{"invalid_numbers":"254712345601,+254712345603"}}`:                           no + yes + no,
		`{"code":"201","data":{"failed":1,"failed_numbers":[254712345603]}}`:                               yes + yes + maybe,
		`{"code":"201","data":{"recipients":2}}`:                                                           "",
		`{"code":"201","data":{"failed":1}}`:                                                               "",
		`{"code":"201","data":{"invalid":["254712345699"]}}`:                                               "",
		`{"code":"201","data":{"failed":[{"number":"254712345601"}]}}`:                                     "",
		`{"code":"201","data":{"rejected":true}}`:                                                          "",
		`{"code":"104","message":"Invalid recipients"}`:                                                    maybe + maybe + maybe,
		`{"code":"104","message":"Invalid recipients","data":{"recipients":0,"invalid":["254712345602"]}}`: maybe + no + maybe,
		`{"code":"200","message":"ok"}`:                                                                    "!200 unknown not_understood",
		`{"code":"500","message":"Server error"}`:                                                          "!500 unknown gateway",
		`{"code":"105","message":"Invalid message"}`:                                                       "!105 rejected refused",
		`{"code":"100","message":"Invalid or missing API key"}`:                                            "!100 retryable credentials",
		`{"code":"101","message":"Insufficient balance"}`:                                                  "!101 retryable credit",
		`<html>`:                                    "",
		`{"code":"201"," Message Sent"}`:            "",
		`{"code":"201","message":"Queued"`:          "",
		`[{"code":"201","message":"Queued"}]`:       "",
		`{"message":"Queued"}`:                      "",
		`{"code":"201","CODE":"104","message":"x"}`: "",
	} {
		results, e := parseCurrentAnswer([]byte(body), to)
		var got strings.Builder
		for _, r := range results {
			got.WriteString(r.Outcome.String())
			if (r.Outcome == providers.Accepted) != (r.Reason == "") {
				t.Errorf("%s: got the result %+v, want a reason exactly if it is not accepted", body, r)
			}
		}
		if e != nil {
			fmt.Fprintf(&got, "!%s %v %s", e.Code, e.Outcome, e.Cause)
		}
		if got.String() != want {
			t.Errorf("%s:\ngot %q, want %q", body, got.String(), want)
		}
	}
	one := to[:1]
	for body, want := range map[string]providers.Result{
		`{"code":"104","message":"Invalid recipients"}`: {Outcome: providers.Rejected, Reason: "invalid_number", Code: "104"},
		`{"code":"201"}`: {Outcome: providers.Accepted},
	} {
		if results, e := parseCurrentAnswer([]byte(body), one); e != nil || len(results) != 1 || results[0] != want {
			t.Errorf("%s to one number: got %v and the error %v, want %+v", body, results, e, want)
		}
	}
}

func TestCurrentAPI_BodyDecidesUnderAnErrorStatus(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]providers.Error{
		`{"code":"100","message":"Invalid or missing API key"}`: {Outcome: providers.Retryable, Scope: providers.Account, Cause: providers.CauseCredentials, Code: "100"},
		`{"code":"101"}`:                        {Outcome: providers.Retryable, Scope: providers.Account, Cause: providers.CauseCredit, Code: "101"},
		`{"code":"201","message":"Queued"}`:     {Outcome: providers.Unknown, Scope: providers.Call, Cause: providers.CauseGateway, Code: "http 500"},
		`<html>500 Internal Server Error<html>`: {Outcome: providers.Unknown, Scope: providers.Call, Cause: providers.CauseGateway, Code: "http 500"},
	} {
		p, _ := keyed(t, 500, body)
		results, err := p.Send(t.Context(), batch(one, two))
		want.Op = "connectmedia send"
		if diff := cmp.Diff(want, verdict(t, err)); diff != "" || results != nil {
			t.Errorf("%s: got %v (-want +got):\n%s", body, results, diff)
		}
	}
}

func TestCurrentAPI_ScheduleRefusesMistakesWithoutARequest(t *testing.T) {
	t.Parallel()
	good := map[string]string{"to": "0712345678", "message": "Hi", "schedule_datetime": "2026-12-01 09:00:00"}
	schedule := Kind().Actions[0]
	p, seen := keyed(t, 200, `{"code":"201"}`)
	for field, value := range map[string]string{"to": "12", "schedule_datetime": "tomorrow", "sender": "TwelveLetter"} {
		in := map[string]string{field: value}
		for name, value := range good {
			if in[name] == "" {
				in[name] = value
			}
		}
		if _, err := schedule.Do(t.Context(), p, in); err == nil || verdict(t, err).Outcome != providers.Rejected {
			t.Errorf("%s %q: got the error %v, want rejected", field, value, err)
		}
	}
	old, _ := answering(t, 200, `{"code":"201"}`)
	if _, err := schedule.Do(t.Context(), old, good); err == nil || !strings.Contains(err.Error(), "api_key") {
		t.Errorf("an account with a password: got the error %v, want one that names api_key", err)
	}
	if len(seen) != 0 {
		t.Errorf("got %d requests, want none", len(seen))
	}
}

func TestCurrentAPI_Settings(t *testing.T) {
	t.Parallel()
	secrets := func(names ...string) map[string]providers.Secret {
		m := map[string]providers.Secret{}
		for _, name := range names {
			m[name] = "x"
		}
		return m
	}
	for name, tc := range map[string]struct {
		settings providers.Settings
		want     []string
		most     int
	}{
		"a key":               {providers.Settings{Secrets: secrets("api_key")}, nil, 100},
		"a larger call":       {providers.Settings{Secrets: secrets("api_key"), Endpoint: providers.Endpoint{MaxRecipients: 1000}}, nil, 1000},
		"one number a call":   {providers.Settings{Secrets: secrets("api_key"), Endpoint: providers.Endpoint{MaxRecipients: 1}}, nil, 1},
		"too large a call":    {providers.Settings{Secrets: secrets("api_key"), Endpoint: providers.Endpoint{MaxRecipients: 1001}}, []string{"max_recipients"}, 0},
		"both logins":         {providers.Settings{Login: map[string]string{"username": "u"}, Secrets: secrets("api_key", "password")}, []string{"api_key"}, 0},
		"a key and a user":    {providers.Settings{Login: map[string]string{"username": "u"}, Secrets: secrets("api_key")}, []string{"api_key"}, 0},
		"pre-encoded":         {providers.Settings{Secrets: secrets("api_key"), Options: map[string]string{"pre_encode_message": "true"}}, []string{"pre_encode_message"}, 0},
		"a key with a line":   {providers.Settings{Secrets: map[string]providers.Secret{"api_key": "x\ny"}}, []string{"api_key"}, 0},
		"a key with a blank":  {providers.Settings{Secrets: map[string]providers.Secret{"api_key": " x"}}, []string{"api_key"}, 0},
		"plain http with key": {providers.Settings{Secrets: secrets("api_key"), Endpoint: providers.Endpoint{BaseURL: "http://dashboard.connectmedia.co.ke"}}, []string{"base_url"}, 0},
	} {
		p, err := Kind().Open(tc.settings)
		var got []string
		for m := range providers.Mistakes(err) {
			got = append(got, m.Field)
		}
		if !slices.Equal(got, tc.want) || (p == nil) != (tc.want != nil) || p != nil && p.Info().MaxRecipients != tc.most {
			t.Errorf("%s: got mistakes in %v, want %v and calls of %d", name, got, tc.want, tc.most)
		}
	}
	p, err := New(Config{APIKey: key})
	if err != nil {
		t.Fatal(err)
	}
	other, err := New(Config{Username: "u", Password: "p"})
	if err != nil {
		t.Fatal(err)
	}
	if p.Info().Fingerprint == other.Info().Fingerprint {
		t.Error("the two APIs have the same fingerprint, want different ones")
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
		if text := fmt.Sprintf(verb, *p) + fmt.Sprintf(verb, p); strings.Contains(text, "kkkk") {
			t.Errorf("%s: the printed text holds the key, want it masked: %s", verb, text)
		}
	}
}

// FuzzParseCurrentAnswer checks that only a reply with code 201 accepts a recipient.
func FuzzParseCurrentAnswer(f *testing.F) {
	for _, seed := range []string{
		`{"code":"201","message":"Queued","data":{"recipients":2,"invalid":["254712345602"]}}`, `{"code":"104","data":{"invalid":"254712345601"}}`,
		`{"code":201,"data":{"failed":[254712345601]}}`, `{"code":"500"}`, `[]`, ``,
	} {
		f.Add([]byte(seed))
	}
	to := []sms.MSISDN{254712345601, 254712345602, 254712345603}
	f.Fuzz(func(t *testing.T, body []byte) {
		results, e := parseCurrentAnswer(body, to)
		if results != nil && e != nil || results != nil && len(results) != len(to) {
			t.Fatalf("%q: got %v and the error %v, want one result for each recipient or an error", body, results, e)
		}
		for i, r := range results {
			digits := to[i].String()
			switch {
			case r.Outcome == providers.Accepted && codeOf(body) != codeSent:
				t.Fatalf("%q: accepted, want accepted only for code 201", body)
			case r.Outcome == providers.Rejected && !strings.Contains(string(body), digits):
				t.Fatalf("%q: rejected %s, want only numbers in the reply rejected", body, digits)
			}
		}
	})
}
