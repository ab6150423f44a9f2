package sandbox

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// server starts a sandbox and returns it with its address.
func server(t testing.TB, o Options) (*Server, string) {
	t.Helper()
	s := New(o)
	web := httptest.NewServer(s)
	t.Cleanup(func() { s.Close(); web.Close() })
	return s, web.URL
}

// call returns a valid send request to KoboMobile whose idempotency key depends on n.
func call(n int, to ...string) url.Values {
	return url.Values{
		"user": {"demo"}, "pass": {"demopass"}, "from": {"Testing"}, "to": {strings.Join(to, ",")}, "msg": {"Hello"},
		"type": {"0"}, "enable_msg_id": {"1"}, "message_uuid": {fmt.Sprintf("58c0d0f9-7dc6-4ce0-91ae-%012d", n)},
	}
}

// with returns a copy of form with one field set, or without the field if value is empty.
func with(form url.Values, name, value string) url.Values {
	changed := url.Values{}
	for k, v := range form {
		changed[k] = v
	}
	if value == "" {
		changed.Del(name)
	} else {
		changed.Set(name, value)
	}
	return changed
}

// post sends a form and returns the status and body, or status 0 if the connection ended before the reply did.
func post(t testing.TB, address string, form url.Values) (int, string) {
	t.Helper()
	resp, err := http.PostForm(address, form)
	if err != nil {
		return 0, ""
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, string(body)
	}
	return resp.StatusCode, string(body)
}

const (
	ada = "2348030000000"
	obi = "2348030000011"
)

func TestKoboAnswersAsItsPageSays(t *testing.T) {
	t.Parallel()
	good := call(1, ada, obi)
	long := strings.Repeat("x", 906)
	many := strings.TrimSuffix(strings.Repeat("2348030000000,", 501), ",")
	for name, tc := range map[string]struct {
		form url.Values
		want string // "" means a list of IDs
	}{
		"good":            {good, ""},
		"no key":          {with(good, "message_uuid", ""), ""},
		"without ids":     {with(good, "enable_msg_id", ""), "sent"},
		"no user":         {with(good, "user", ""), "error_param"},
		"no pass":         {with(good, "pass", ""), "error_param"},
		"no from":         {with(good, "from", ""), "error_param"},
		"no to":           {with(good, "to", ""), "error_param"},
		"no msg":          {with(good, "msg", ""), "error_param"},
		"type 3":          {with(good, "type", "3"), "error_param"},
		"12 letters":      {with(good, "from", "Testing12345"), "error_param"},
		"16 digits":       {with(good, "from", "1234567890123456"), ""},
		"17 digits":       {with(good, "from", "12345678901234567"), "error_param"},
		"906 characters":  {with(good, "msg", long), "error_param"},
		"905 characters":  {with(good, "msg", strings.Repeat("₦", 905)), ""},
		"wrong pass":      {with(good, "pass", "x"), "error_user"},
		"wrong user":      {with(good, "user", "x"), "error_user"},
		"501 numbers":     {with(good, "to", many), "error_limit"},
		"500 numbers":     {with(good, "to", many[14:]), ""},
		"national number": {with(good, "to", "08030000000"), "error_limit"},
		"plus":            {with(good, "to", "+"+ada), "error_limit"},
		"space":           {with(good, "to", ada+", "+obi), "error_limit"},
		"key too long":    {with(good, "message_uuid", strings.Repeat("k", 65)), "error_msgid"},
		"key too short":   {with(good, "message_uuid", "k"), "error_msgid"},
	} {
		for _, prefix := range []string{"", "/kobo"} {
			_, address := server(t, Options{Users: map[string]string{"demo": "demopass"}})
			status, body := post(t, address+prefix+"/api/send/", tc.form)
			ids := strings.Count(body, "~") + 1
			if status != 200 || tc.want != "" && body != tc.want || tc.want == "" && ids != strings.Count(tc.form.Get("to"), ",")+1 {
				t.Errorf("%s: got %d %.80q, want %q", name, status, body, tc.want)
			}
		}
	}
}

func TestCredentialsInTheQueryAreNotSeen(t *testing.T) {
	t.Parallel()
	_, address := server(t, Options{})
	if _, body := post(t, address+"/api/send/?"+call(1, ada).Encode(), nil); body != "error_param" {
		t.Errorf("got reply %q, want \"error_param\"", body)
	}
}

func TestOtherPathsAndMethods(t *testing.T) {
	t.Parallel()
	s, address := server(t, Options{})
	if status, _ := post(t, address+"/api/send", call(1, ada)); status != http.StatusNotFound {
		t.Errorf("got status %d, want 404", status)
	}
	resp, err := http.Get(address + "/api/send/")
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("got status %d, want 405", resp.StatusCode)
	}
	if st := s.Stats(); st.Requests != 2 || st.Calls != 0 {
		t.Errorf("got stats %+v; want Requests 2, Calls 0", st)
	}
}

func TestIDsAreUUIDsThatReportsKnow(t *testing.T) {
	t.Parallel()
	s, address := server(t, Options{Seed: 3})
	seen := map[string]bool{}
	for n := range 20 {
		_, body := post(t, address+"/api/send/", call(n, ada, obi))
		for i, entry := range strings.Split(body, "~") {
			number, id, _ := strings.Cut(entry, ",")
			if number != []string{ada, obi}[i] || len(id) != 36 || id[14] != '4' || !strings.Contains("89ab", id[19:20]) || seen[id] {
				t.Fatalf("got entry %q", entry)
			}
			seen[id] = true
		}
	}
	ask := func(id string) string {
		_, body := post(t, address+"/api/report/", url.Values{"user": {"u"}, "pass": {"p"}, "msgid": {id}})
		return body
	}
	for id := range seen {
		if got := ask(id); got != "DELIVRD" {
			t.Fatalf("report of %s: %q, want \"DELIVRD\"", id, got)
		}
		last := "0"
		if id[35] == '0' {
			last = "1"
		}
		for _, other := range []string{id[:35] + last, "0" + id[1:35], strings.ToUpper(id)} {
			if other != id && ask(other) != "error_msgid" {
				t.Fatalf("an ID that was never given out is known: %s", other)
			}
		}
	}
	s.KoboReport("UNDELIV err:0dc")
	for id := range seen {
		if got := ask(id); got != "UNDELIV err:0dc" {
			t.Fatalf("got report %q, want \"UNDELIV err:0dc\"", got)
		}
	}
	if got := ask(""); got != "error_param" {
		t.Errorf("report without an ID: got %q, want \"error_param\"", got)
	}
}

func TestAKeyStandsForOneCall(t *testing.T) {
	t.Parallel()
	for _, repeat := range []Repeat{RepeatAccepts, RepeatAll, RepeatError} {
		s, address := server(t, Options{Repeat: repeat})
		address += "/api/send/"
		_, first := post(t, address, call(1, ada, obi))
		for _, again := range []url.Values{call(1, ada, obi), call(1, obi), with(call(1, ada, obi), "msg", "Bye"), with(call(1, ada, obi), "from", "X")} {
			_, body := post(t, address, again)
			want := first
			if repeat == RepeatError {
				want = "error_msgid"
			}
			if body != want {
				t.Errorf("%q: got reply %q, want %q", repeat, body, want)
			}
		}
		if st := s.Stats(); st.Accepted != 2 || st.Replays != 4 || st.Conflicts != 3 || st.Duplicates != 0 || st.Credit != 1e9-2 {
			t.Errorf("%q: got %+v; want Accepted 2, Replays 4, Conflicts 3, Duplicates 0, Credit 1e9-2", repeat, st)
		}
		// A new key, or the same key of another user, is a new call.
		post(t, address, call(2, ada))
		post(t, address, with(call(1, ada), "user", "other"))
		if st := s.Stats(); st.Accepted != 4 || st.Duplicates != 2 || s.Duplicates() != 2 || s.Accepted(2348030000000) != 3 {
			t.Errorf("%q: got %+v", repeat, st)
		}
	}
}

func TestWhetherErrorsAreRemembered(t *testing.T) {
	t.Parallel()
	for repeat, want := range map[Repeat]string{RepeatAccepts: "sent", RepeatAll: "error_gw", RepeatError: "sent"} {
		s, address := server(t, Options{Repeat: repeat})
		address += "/api/send/"
		form := with(call(1, ada), "enable_msg_id", "")
		s.FailNext(1, "error_gw")
		if _, body := post(t, address, form); body != "error_gw" {
			t.Fatalf("%q: got %q, want \"error_gw\"", repeat, body)
		}
		if _, body := post(t, address, form); body != want {
			t.Errorf("%q: got %q, want %q", repeat, body, want)
		}
		s.SetCredit(0)
		form = with(call(2, ada), "enable_msg_id", "")
		post(t, address, form)
		s.SetCredit(10)
		if _, body := post(t, address, form); (body == "error_credit") != (repeat == RepeatAll) {
			t.Errorf("%q: got %q after a top-up; want error_credit only with RepeatAll", repeat, body)
		}
	}
}

func TestOneKeyAtOnceIsAcceptedOnce(t *testing.T) {
	t.Parallel()
	s, address := server(t, Options{Latency: time.Millisecond})
	var wg sync.WaitGroup
	answers := make([]string, 16)
	for i := range answers {
		wg.Go(func() { _, answers[i] = post(t, address+"/api/send/", call(1, ada, obi)) })
	}
	wg.Wait()
	for _, a := range answers {
		if a != answers[0] || a == "" {
			t.Errorf("got replies %q and %q, want one reply for all calls with the same key", a, answers[0])
		}
	}
	if st := s.Stats(); st.Accepted != 2 || st.Replays != 15 || st.InFlight != 0 || st.PeakInFlight < 1 {
		t.Errorf("got stats %+v", st)
	}
}

func TestCreditIsDebitedPerMessageAndNeverOverdrawn(t *testing.T) {
	t.Parallel()
	s, address := server(t, Options{Credit: 3})
	balance := func() string {
		_, body := post(t, address+"/api/credit/", url.Values{"user": {"u"}, "pass": {"p"}})
		return body
	}
	if got := balance(); got != "3" {
		t.Errorf("got balance %q, want \"3\"", got)
	}
	post(t, address+"/api/send/", call(1, ada, obi))
	if _, body := post(t, address+"/api/send/", call(2, ada, obi)); body != "error_credit" || balance() != "1" {
		t.Errorf("got reply %q, balance %q", body, balance())
	}
	s.SetCredit(2.5)
	if _, body := post(t, address+"/api/send/", call(2, ada, obi)); body == "error_credit" || balance() != "0.5" {
		t.Errorf("got reply %q, balance %q", body, balance())
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		status int
		body   string // the start of the reply
		taken  int64
	}{
		{"close", 0, "", 0},
		{"accept_close", 0, "", 1},
		{"cut", 0, "234803", 1},
		{"html", 200, "<!DOCTYPE html>", 0},
		{"accept_html", 200, "<!DOCTYPE html>", 1},
		{"500", 500, "Internal", 0},
		{"accept_502", 502, "Bad Gateway", 1},
		{"429", 429, "Too Many", 0},
		{"404", 404, "Not Found", 0},
		{"error_gw", 200, "error_gw", 0},
		{"accept_error_gw", 200, "error_gw", 1},
		{"error_billing", 200, "error_billing", 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s, address := server(t, Options{})
			s.FailNext(2, tc.name)
			for range 2 {
				status, body := post(t, address+"/api/send/", call(1, ada))
				if status != tc.status || !strings.HasPrefix(body, tc.body) {
					t.Errorf("got reply %d %q, want %d %q", status, body, tc.status, tc.body)
				}
			}
			if st := s.Stats(); st.Accepted != tc.taken || st.Faults != 2 || st.Calls != 2 {
				t.Errorf("got stats %+v", st)
			}
			if status, body := post(t, address+"/api/send/", call(1, ada)); status != 200 || !strings.HasPrefix(body, ada+",") {
				t.Errorf("after the fault: got %d %q, want 200 and a message ID", status, body)
			}
			if st := s.Stats(); st.Accepted != 1 || st.Duplicates != 0 || st.Conflicts != 0 {
				t.Errorf("after the fault: got stats %+v; want Accepted 1, Duplicates 0, Conflicts 0", st)
			}
		})
	}
}

func TestHangingCallsAreReleased(t *testing.T) {
	t.Parallel()
	for fault, taken := range map[string]int64{"hang": 0, "accept_hang": 1} {
		s := New(Options{})
		s.FailNext(1, fault)
		arrived := make(chan struct{})
		web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			close(arrived)
			s.ServeHTTP(w, r)
		}))
		done := make(chan int)
		go func() {
			status, _ := post(t, web.URL+"/api/send/", call(1, ada))
			done <- status
		}()
		<-arrived
		s.Close()
		if status := <-done; status != 0 {
			t.Errorf("%s: got status %d, want 0", fault, status)
		}
		web.Close()
		if st := s.Stats(); st.Accepted != taken {
			t.Errorf("%s: got %+v", fault, st)
		}
	}
}

func TestRandomFaultsAreRepeatable(t *testing.T) {
	t.Parallel()
	pattern := func(seed uint64) string {
		s, address := server(t, Options{Seed: seed})
		if err := errors.Join(s.Fail(Fault{Name: "500", P: 0.3}), s.Fail(Fault{Name: "accept_502", P: 0.3})); err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		for n := range 60 {
			status, _ := post(t, address+"/api/send/", call(n, ada))
			fmt.Fprint(&b, status, " ")
		}
		if err := errors.Join(s.Fail(Fault{Name: "500"}), s.Fail(Fault{Name: "accept_502", P: 0})); err != nil {
			t.Fatal(err)
		}
		for n := range 20 {
			if status, _ := post(t, address+"/api/send/", call(n, ada)); status != 200 {
				t.Errorf("a fault was injected after it had been removed: got status %d, want 200", status)
			}
		}
		return b.String()
	}
	one := pattern(1)
	for _, status := range []string{"200", "500", "502"} {
		if !strings.Contains(one, status) {
			t.Errorf("status %s is missing in %s", status, one)
		}
	}
	if pattern(1) != one || pattern(2) == one {
		t.Error("the pattern of faults does not depend on the seed only")
	}
}

func TestFaultsStrikeOtherEndpointsOnlyIfAsked(t *testing.T) {
	t.Parallel()
	s, address := server(t, Options{})
	login := url.Values{"user": {"u"}, "pass": {"p"}}
	if err := s.Fail(Fault{Name: "500", P: 1}); err != nil {
		t.Fatal(err)
	}
	if status, _ := post(t, address+"/api/credit/", login); status != 200 {
		t.Errorf("got status %d, want 200", status)
	}
	if err := errors.Join(s.Fail(Fault{Name: "429", N: 1}), s.Fail(Fault{Name: "503", N: 1, Everything: true})); err != nil {
		t.Fatal(err)
	}
	if status, _ := post(t, address+"/api/credit/", login); status != 503 {
		t.Errorf("got status %d, want 503", status)
	}
	if status, _ := post(t, address+"/api/send/", call(1, ada)); status != 429 {
		t.Errorf("got status %d, want 429", status)
	}
	s.ClearFaults()
	if status, _ := post(t, address+"/api/send/", call(1, ada)); status != 200 {
		t.Errorf("got status %d, want 200", status)
	}
}

func TestUnknownFaultsAreRefused(t *testing.T) {
	t.Parallel()
	s := New(Options{})
	for _, f := range []Fault{{Name: "", N: 1}, {Name: "nonsense", N: 1}, {Name: "200", N: 1}, {Name: "600", N: 1}, {Name: "500", N: -1}, {Name: "500", P: 1.5}, {Name: "500", P: 0.5, N: 1}} {
		if err := s.Fail(f); err == nil {
			t.Errorf("Fail(%+v): got no error", f)
		}
	}
}

func TestInvalidNumbers(t *testing.T) {
	t.Parallel()
	s, address := server(t, Options{})
	s.KoboInvalid("", 2348030000011)
	if _, body := post(t, address+"/api/send/", call(1, ada, obi)); body != "error_limit" {
		t.Errorf("got reply %q, want \"error_limit\"", body)
	}
	s.KoboInvalid("error_number")
	if _, body := post(t, address+"/api/send/", call(2, ada, obi)); body != "error_number" {
		t.Errorf("got reply %q, want \"error_number\"", body)
	}
	if _, body := post(t, address+"/api/send/", call(3, ada)); !strings.HasPrefix(body, ada) {
		t.Errorf("got reply %q", body)
	}
}

func TestWithoutCounting(t *testing.T) {
	t.Parallel()
	s, address := server(t, Options{NoCount: true})
	post(t, address+"/api/send/", call(1, ada))
	post(t, address+"/api/send/", call(2, ada))
	if st := s.Stats(); st.Accepted != 2 || st.Duplicates != 0 || st.Numbers != 0 || s.Accepted(2348030000000) != 0 {
		t.Errorf("got stats %+v", st)
	}
}

func BenchmarkKobo500(b *testing.B) {
	var to []string
	for i := range 500 {
		to = append(to, fmt.Sprint(2348030000000+i))
	}
	for name, o := range map[string]Options{"counting": {}, "not-counting": {NoCount: true}} {
		b.Run(name, func(b *testing.B) {
			s := New(o)
			body := call(1, to...).Encode()
			key := "message_uuid=58c0d0f9-7dc6-4ce0-91ae-000000000001"
			at := strings.Index(body, key) + len("message_uuid=58c0d0f9-7dc6-4ce0-91ae-")
			if at < 40 {
				b.Fatal("the form has no idempotency key")
			}
			b.ReportAllocs()
			for n := 0; b.Loop(); n++ {
				form := body[:at] + fmt.Sprintf("%012d", n) + body[at+12:]
				r := httptest.NewRequest(http.MethodPost, "/api/send/", strings.NewReader(form))
				r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				w := discard{}
				s.ServeHTTP(w, r)
			}
			if st := s.Stats(); st.Accepted != 500*int64(b.N) {
				b.Fatalf("%+v", st)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
		})
	}
}

type discard http.Header

func (d discard) Header() http.Header         { return http.Header{} }
func (d discard) Write(p []byte) (int, error) { return len(p), nil }
func (d discard) WriteHeader(int)             {}
