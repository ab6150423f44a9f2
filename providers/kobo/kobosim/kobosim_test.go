package kobosim_test

import (
	"bytes"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/internal/simulator/simulatortest"
	"github.com/tuma-sms/tuma/providers/kobo/kobosim"
)

var vendors = map[string]simulator.NewVendor{"kobo": kobosim.New}

// The function "start" starts a server for the simulator. It returns the server and its address.
func start(t testing.TB, o simulator.Options) (*simulator.Server, string) {
	t.Helper()
	return simulatortest.Start(t, o, vendors)
}

// The function "call" returns a valid send request to KoboMobile. The idempotency key of the
// request ends with the number n.
func call(n int, to ...string) url.Values {
	return url.Values{
		"user": {"demo"}, "pass": {"demopass"}, "from": {"Testing"}, "to": {strings.Join(to, ",")}, "msg": {"Hello"},
		"type": {"0"}, "enable_msg_id": {"1"}, "message_uuid": {fmt.Sprintf("58c0d0f9-7dc6-4ce0-91ae-%012d", n)},
	}
}

const (
	ada = "2348030000000"
	obi = "2348030000011"
)

func TestSend_AnswersAsDocumented(t *testing.T) {
	t.Parallel()
	good := call(1, ada, obi)
	long := strings.Repeat("x", 906)
	many := strings.TrimSuffix(strings.Repeat("2348030000000,", 501), ",")
	for name, tc := range map[string]struct {
		form url.Values
		want string // "" means a list of IDs
	}{
		"good":            {good, ""},
		"no key":          {simulatortest.With(good, "message_uuid", ""), ""},
		"without ids":     {simulatortest.With(good, "enable_msg_id", ""), "sent"},
		"no user":         {simulatortest.With(good, "user", ""), "error_param"},
		"no pass":         {simulatortest.With(good, "pass", ""), "error_param"},
		"no from":         {simulatortest.With(good, "from", ""), "error_param"},
		"no to":           {simulatortest.With(good, "to", ""), "error_param"},
		"no msg":          {simulatortest.With(good, "msg", ""), "error_param"},
		"type 3":          {simulatortest.With(good, "type", "3"), "error_param"},
		"12 letters":      {simulatortest.With(good, "from", "Testing12345"), "error_param"},
		"16 digits":       {simulatortest.With(good, "from", "1234567890123456"), ""},
		"17 digits":       {simulatortest.With(good, "from", "12345678901234567"), "error_param"},
		"906 characters":  {simulatortest.With(good, "msg", long), "error_param"},
		"905 characters":  {simulatortest.With(good, "msg", strings.Repeat("₦", 905)), ""},
		"wrong pass":      {simulatortest.With(good, "pass", "x"), "error_user"},
		"wrong user":      {simulatortest.With(good, "user", "x"), "error_user"},
		"501 numbers":     {simulatortest.With(good, "to", many), "error_limit"},
		"500 numbers":     {simulatortest.With(good, "to", many[14:]), ""},
		"national number": {simulatortest.With(good, "to", "08030000000"), "error_limit"},
		"plus":            {simulatortest.With(good, "to", "+"+ada), "error_limit"},
		"space":           {simulatortest.With(good, "to", ada+", "+obi), "error_limit"},
		"key too long":    {simulatortest.With(good, "message_uuid", strings.Repeat("k", 65)), "error_msgid"},
		"key of a letter": {simulatortest.With(good, "message_uuid", "k"), ""},
	} {
		for _, prefix := range []string{"", "/kobo"} {
			_, address := start(t, simulator.Options{Users: map[string]string{"demo": "demopass"}})
			status, body := simulatortest.Post(t, address+prefix+"/api/send/", tc.form)
			ids := strings.Count(body, "~") + 1
			if status != 200 || tc.want != "" && body != tc.want || tc.want == "" && ids != strings.Count(tc.form.Get("to"), ",")+1 {
				t.Errorf("%s: got %d %.80q, want %q", name, status, body, tc.want)
			}
		}
	}
}

// The product behind KoboMobile refuses a key of fewer than 24 characters. The vendor's page does not
// mention this limit, so it applies only with the option min_uuid.
func TestOption_ShortestKey(t *testing.T) {
	t.Parallel()
	s, address := start(t, simulator.Options{})
	for _, bad := range []string{"", "0", "65", "x"} {
		if known, err := kobosim.Of(s).SetOption("min_uuid", bad); !known || err == nil {
			t.Errorf("min_uuid=%s: got known %v and the error %v, want an error", bad, known, err)
		}
	}
	if _, err := kobosim.Of(s).SetOption("min_uuid", "24"); err != nil {
		t.Fatal(err)
	}
	for n, want := range map[int]string{23: "error_msgid", 24: "sent"} {
		form := simulatortest.With(simulatortest.With(call(n, ada), "message_uuid", strings.Repeat("k", n)), "enable_msg_id", "")
		if _, body := simulatortest.Post(t, address+"/api/send/", form); body != want {
			t.Errorf("a key of %d characters: got %q, want %q", n, body, want)
		}
	}
}

// examples maps each example on the vendor's page, word for word, to the reply that it must get.
var examples = map[string]string{
	"https://kobomobile.net/api/send/? user=demo&pass=demopass&to=2348030000000&from=Testing&msg=Testing":                             "sent",
	"https://kobomobile.net/api/send/? user=demo&pass=demopass&to=2348030000000,2348030000011,2348030000022&from=Testing&msg=Testing": "sent",
	"https://kobomobile.net/api/credit/?user=demo&pass=demopass":                                                                      "1000000000",
	"https://kobomobile.net/api/report/?user=demo&pass=demopass&msgid=24137cf8-eccc-469c-80af-109538857e53":                           "DELIVRD",
}

func TestVendorExample_PostsWithTheFieldsInTheQuery(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../testdata/page.txt")
	if err != nil {
		t.Fatal(err)
	}
	for example, want := range examples {
		if !strings.Contains(string(page), "POST | "+example) {
			t.Errorf("the vendor's page does not have the example %s", example)
		}
		s, address := start(t, simulator.Options{Users: map[string]string{"demo": "demopass"}})
		path := strings.Replace(strings.TrimPrefix(example, "https://kobomobile.net"), "? ", "?", 1)
		if status, body := simulatortest.Post(t, address+path, nil); status != 200 || body != want {
			t.Errorf("%s: got %d %q, want %q", example, status, body, want)
		}
		if want == "sent" {
			if last := s.Gateway("kobo").LastAccepted(); len(last.Numbers) != strings.Count(example, "23480300000") || last.From != "Testing" || last.Body != "Testing" {
				t.Errorf("%s: got the message %+v, want that of the example", example, last)
			}
		}
	}
}

// The simulator must accept a multipart form, because public programs send one.
func TestSend_MultipartForm(t *testing.T) {
	t.Parallel()
	_, address := start(t, simulator.Options{})
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	for name, values := range call(1, ada) {
		if err := w.WriteField(name, values[0]); err != nil {
			t.Fatal(err)
		}
	}
	_ = w.Close()
	resp, err := http.Post(address+"/api/send/", w.FormDataContentType(), &body)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if text, err := io.ReadAll(resp.Body); err != nil || !strings.HasPrefix(string(text), ada+",") {
		t.Errorf("got %q and the error %v, want an ID for the number", text, err)
	}
}

func TestMessageID_UUIDsKnownToReports(t *testing.T) {
	t.Parallel()
	s, address := start(t, simulator.Options{Seed: 3})
	seen := map[string]bool{}
	for n := range 20 {
		_, body := simulatortest.Post(t, address+"/api/send/", call(n, ada, obi))
		for i, entry := range strings.Split(body, "~") {
			number, id, _ := strings.Cut(entry, ",")
			if number != []string{ada, obi}[i] || len(id) != 36 || id[14] != '4' || !strings.Contains("89ab", id[19:20]) || seen[id] {
				t.Fatalf("got entry %q, want the number and a new version 4 UUID", entry)
			}
			seen[id] = true
		}
	}
	ask := func(id string) string {
		_, body := simulatortest.Post(t, address+"/api/report/", url.Values{"user": {"u"}, "pass": {"p"}, "msgid": {id}})
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
				t.Fatalf("the ID %s was never given out: want error_msgid", other)
			}
		}
	}
	kobosim.Of(s).SetReport("UNDELIV err:0dc")
	for id := range seen {
		if got := ask(id); got != "UNDELIV err:0dc" {
			t.Fatalf("got report %q, want \"UNDELIV err:0dc\"", got)
		}
	}
	if got := ask(""); got != "error_param" {
		t.Errorf("report without an ID: got %q, want \"error_param\"", got)
	}
}

func TestIdempotencyKey_IsOneCall(t *testing.T) {
	t.Parallel()
	for _, repeat := range []simulator.Repeat{simulator.RepeatAccepts, simulator.RepeatAll, simulator.RepeatError} {
		s, address := start(t, simulator.Options{})
		kobosim.Of(s).SetRepeat(repeat)
		address += "/api/send/"
		_, first := simulatortest.Post(t, address, call(1, ada, obi))
		for _, again := range []url.Values{call(1, ada, obi), call(1, obi), simulatortest.With(call(1, ada, obi), "msg", "Bye"), simulatortest.With(call(1, ada, obi), "from", "X")} {
			_, body := simulatortest.Post(t, address, again)
			want := first
			if repeat == simulator.RepeatError {
				want = "error_msgid"
			}
			if body != want {
				t.Errorf("%q: got reply %q, want %q", repeat, body, want)
			}
		}
		if st := s.Stats(); st.Accepted != 2 || st.Replays != 4 || st.Conflicts != 3 || st.Duplicates != 0 || st.Credit != 1e9-2 {
			t.Errorf("%q: got %+v; want Accepted 2, Replays 4, Conflicts 3, Duplicates 0, Credit 1e9-2", repeat, st)
		}
		// A call with a new key is a new call, and so is a call with the same key of another user.
		simulatortest.Post(t, address, call(2, ada))
		simulatortest.Post(t, address, simulatortest.With(call(1, ada), "user", "other"))
		if st := s.Stats(); st.Accepted != 4 || st.Duplicates != 2 || s.Duplicates() != 2 || s.Accepted(2348030000000) != 3 {
			t.Errorf("%q: got stats %+v; want Accepted 4, Duplicates 2, and 3 messages to the first number", repeat, st)
		}
	}
}

func TestIdempotencyKey_RepeatedAfterAnError(t *testing.T) {
	t.Parallel()
	for repeat, want := range map[simulator.Repeat]string{simulator.RepeatAccepts: "sent", simulator.RepeatAll: "error_gw", simulator.RepeatError: "sent"} {
		s, address := start(t, simulator.Options{})
		kobosim.Of(s).SetRepeat(repeat)
		address += "/api/send/"
		form := simulatortest.With(call(1, ada), "enable_msg_id", "")
		s.FailNext(1, "error_gw")
		if _, body := simulatortest.Post(t, address, form); body != "error_gw" {
			t.Fatalf("%q: got %q, want \"error_gw\"", repeat, body)
		}
		if _, body := simulatortest.Post(t, address, form); body != want {
			t.Errorf("%q: got %q, want %q", repeat, body, want)
		}
		s.SetCredit(0)
		form = simulatortest.With(call(2, ada), "enable_msg_id", "")
		simulatortest.Post(t, address, form)
		s.SetCredit(10)
		if _, body := simulatortest.Post(t, address, form); (body == "error_credit") != (repeat == simulator.RepeatAll) {
			t.Errorf("%q: got %q after a top-up; want error_credit only with RepeatAll", repeat, body)
		}
	}
}

func TestIdempotencyKey_ConcurrentCallsAcceptOnce(t *testing.T) {
	t.Parallel()
	s, address := start(t, simulator.Options{Latency: time.Millisecond})
	var wg sync.WaitGroup
	answers := make([]string, 16)
	for i := range answers {
		wg.Go(func() { _, answers[i] = simulatortest.Post(t, address+"/api/send/", call(1, ada, obi)) })
	}
	wg.Wait()
	for _, a := range answers {
		if a != answers[0] || a == "" {
			t.Errorf("got replies %q and %q, want one reply for all calls with the same key", a, answers[0])
		}
	}
	if st := s.Stats(); st.Accepted != 2 || st.Replays != 15 || st.InFlight != 0 || st.PeakInFlight < 1 {
		t.Errorf("got stats %+v; want Accepted 2, Replays 15, InFlight 0, PeakInFlight at least 1", st)
	}
}

func TestCredit_DebitedPerMessageAndNotOverdrawn(t *testing.T) {
	t.Parallel()
	s, address := start(t, simulator.Options{Credit: 3})
	balance := func() string {
		_, body := simulatortest.Post(t, address+"/api/credit/", url.Values{"user": {"u"}, "pass": {"p"}})
		return body
	}
	if got := balance(); got != "3" {
		t.Errorf("got balance %q, want \"3\"", got)
	}
	simulatortest.Post(t, address+"/api/send/", call(1, ada, obi))
	if _, body := simulatortest.Post(t, address+"/api/send/", call(2, ada, obi)); body != "error_credit" || balance() != "1" {
		t.Errorf("got reply %q, balance %q; want error_credit and 1", body, balance())
	}
	s.SetCredit(2.5)
	if _, body := simulatortest.Post(t, address+"/api/send/", call(2, ada, obi)); body == "error_credit" || balance() != "0.5" {
		t.Errorf("got reply %q, balance %q; want acceptance and 0.5", body, balance())
	}
}

func TestSend_InvalidNumbersAreRefused(t *testing.T) {
	t.Parallel()
	s, address := start(t, simulator.Options{})
	kobosim.Of(s).SetInvalid("", 2348030000011)
	if _, body := simulatortest.Post(t, address+"/api/send/", call(1, ada, obi)); body != "error_limit" {
		t.Errorf("got reply %q, want \"error_limit\"", body)
	}
	kobosim.Of(s).SetInvalid("error_number")
	if _, body := simulatortest.Post(t, address+"/api/send/", call(2, ada, obi)); body != "error_number" {
		t.Errorf("got reply %q, want \"error_number\"", body)
	}
	if _, body := simulatortest.Post(t, address+"/api/send/", call(3, ada)); !strings.HasPrefix(body, ada) {
		t.Errorf("got reply %q, want one that begins with %q", body, ada)
	}
}

func BenchmarkSend500(b *testing.B) {
	var to []string
	for i := range 500 {
		to = append(to, fmt.Sprint(2348030000000+i))
	}
	for name, o := range map[string]simulator.Options{"counting": {}, "not-counting": {NoCount: true}} {
		b.Run(name, func(b *testing.B) {
			s := simulator.New(o, vendors)
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
