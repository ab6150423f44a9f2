package textconnect

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	_ "time/tzdata"

	"github.com/google/go-cmp/cmp"

	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/providers/httpclient"
	"github.com/tuma-sms/tuma/sms"
)

const token = "s3cr3t&token"

// server is a test gateway that returns the configured answer and stores the requests.
type server struct {
	*httptest.Server
	asked chan *http.Request
}

// answering starts a server that returns the same answer to every request. It returns a provider
// for this server, and the server itself.
func answering(t testing.TB, status int, body string) (*Provider, server) {
	t.Helper()
	s := server{asked: make(chan *http.Request, 100)}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil {
			t.Errorf("parse the form: %v", err)
		}
		s.asked <- r
		if status >= 400 {
			w.Header().Set("Retry-After", "7")
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(s.Close)
	return open(t, Config{Endpoint: providers.Endpoint{BaseURL: s.URL + "/prefix/", Timeout: time.Minute}}), s
}

func open(t testing.TB, cfg Config) *Provider {
	t.Helper()
	cfg.Token = token
	p, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.client.CloseIdle)
	return p
}

// form returns the form that the gateway got, without the token. It fails the test unless the
// gateway got exactly one request. It also checks all other parts of this request.
func (s server) form(t testing.TB) url.Values {
	t.Helper()
	if len(s.asked) != 1 {
		t.Fatalf("%d requests, want 1", len(s.asked))
	}
	r := <-s.asked
	if r.Method != http.MethodPost || r.RequestURI != "/prefix/api" || r.Header.Get("Content-Type") != httpclient.FormContentType {
		t.Errorf("got the request %s %s with headers %v, want a form by POST to /prefix/api", r.Method, r.RequestURI, r.Header)
	}
	if strings.Contains(fmt.Sprint(r.Header), "s3cr3t") {
		t.Error("the token is in a header, want it only in the body")
	}
	if got := r.PostForm["Token"]; !slices.Equal(got, []string{token}) {
		t.Errorf("got the tokens %q, want exactly the login", got)
	}
	r.PostForm.Del("Token")
	return r.PostForm
}

// The method "asks" fails the test unless the gateway got exactly one form, and this form equals the
// parameter "want".
func (s server) asks(t testing.TB, name string, want url.Values) {
	t.Helper()
	if diff := cmp.Diff(want, s.form(t)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

func batch(to ...sms.MSISDN) providers.Batch {
	return providers.Batch{IdempotencyKey: "58c0d0f9-7dc6-4ce0-91ae-2d84c5880713", From: "ACME", Body: "Hello", To: to}
}

// verdict converts an error to an *Error without an underlying error.
func verdict(t testing.TB, err error) providers.Error {
	t.Helper()
	e, ok := err.(*providers.Error)
	if !ok {
		t.Fatalf("error %v (%T), want an *Error", err, err)
	}
	for _, secret := range []string{"s3cr3t", "hunter", one.String()} {
		if strings.Contains(e.Error(), secret) {
			t.Fatalf("error %v holds a secret or a number, want neither", e)
		}
	}
	e2 := *e
	e2.Err = nil
	return e2
}

func refusedLocally(op string, scope providers.Scope) providers.Error {
	return providers.Error{Op: op, Outcome: providers.Rejected, Scope: scope, Cause: providers.CauseRefused}
}

func TestSend_FormAsDocumented(t *testing.T) {
	t.Parallel()
	summer := time.Date(2026, time.July, 1, 12, 30, 45, 999, time.UTC)
	for name, tc := range map[string]struct {
		cfg     Config
		change  func(*providers.Batch, *SendOptions)
		answer  string
		differs url.Values
	}{
		"plain":                   {differs: url.Values{}},
		"signs":                   {change: func(b *providers.Batch, _ *SendOptions) { b.Body = "a&b=c+d %/?#~\n€{}é漢😀" }, differs: url.Values{"Body": {"a&b=c+d %/?#~\n€{}é漢😀"}}},
		"numeric sender":          {change: func(b *providers.Batch, _ *SendOptions) { b.From = "447700900000" }, differs: url.Values{"SourceAddress": {"447700900000"}, "SourceTON": {"1"}}},
		"a short code":            {change: func(b *providers.Batch, _ *SendOptions) { b.From = "60300" }, differs: url.Values{"SourceAddress": {"60300"}}},
		"ten digits":              {change: func(b *providers.Batch, _ *SendOptions) { b.From = "0712345678" }, differs: url.Values{"SourceAddress": {"0712345678"}}},
		"eleven digits":           {change: func(b *providers.Batch, _ *SendOptions) { b.From = "44770090000" }, differs: url.Values{"SourceAddress": {"44770090000"}, "SourceTON": {"1"}}},
		"numeric sender, plus":    {change: func(b *providers.Batch, _ *SendOptions) { b.From = "+447700900000" }, differs: url.Values{"SourceAddress": {"+447700900000"}, "SourceTON": {"1"}}},
		"sender with a digit":     {change: func(b *providers.Batch, _ *SendOptions) { b.From = "4Sale" }, differs: url.Values{"SourceAddress": {"4Sale"}}},
		"flash has no meaning":    {change: func(b *providers.Batch, _ *SendOptions) { b.Flash = true }, differs: url.Values{}},
		"type of the account":     {cfg: Config{SourceTON: 1}, differs: url.Values{"SourceTON": {"1"}}},
		"type of the message":     {cfg: Config{SourceTON: 1}, change: func(_ *providers.Batch, o *SendOptions) { o.SourceTON = 5 }, differs: url.Values{}},
		"validity of the account": {cfg: Config{ValidityPeriod: time.Hour}, differs: url.Values{"ValidityPeriod": {"3600"}}},
		"validity of the message": {cfg: Config{ValidityPeriod: time.Hour}, change: func(_ *providers.Batch, o *SendOptions) { o.ValidityPeriod = time.Second }, differs: url.Values{"ValidityPeriod": {"1"}}},
		"scheduled in summer":     {change: func(_ *providers.Batch, o *SendOptions) { o.ScheduleDate = summer }, differs: url.Values{"ScheduleDate": {"20260701133045"}}},
		"scheduled in winter":     {change: func(_ *providers.Batch, o *SendOptions) { o.ScheduleDate = summer.AddDate(0, 6, 0) }, differs: url.Values{"ScheduleDate": {"20270101123045"}}},
		"all ids": {change: func(b *providers.Batch, o *SendOptions) { b.To, o.AllMessageIDs = b.To[:1], true }, answer: "3509592,3509593,3509594",
			differs: url.Values{"DestinationAddress": {"447777777771"}, "GetAllMessageIDs": {"1"}}},
	} {
		b, o := batch(one, two), SendOptions{}
		if tc.change != nil {
			tc.change(&b, &o)
		}
		if tc.answer == "" {
			tc.answer = "3509592,3509593"
		}
		_, s := answering(t, 200, tc.answer)
		tc.cfg.BaseURL = s.URL + "/prefix"
		results, err := open(t, tc.cfg).SendWith(t.Context(), b, o)
		first := accepted("3509592")
		if o.AllMessageIDs {
			first.SegmentIDs = "3509593,3509594"
		}
		if err != nil || len(results) != len(b.To) || results[0] != first {
			t.Errorf("%s: got %v and the error %v, want accepted with the ID 3509592", name, results, err)
		}
		want := url.Values{
			"Action": {"Send"}, "DestinationAddress": {"447777777771,447777777772"}, "SourceAddress": {"ACME"}, "Body": {"Hello"},
			"ValidityPeriod": {"86400"}, "SourceTON": {"5"},
		}
		for field, value := range tc.differs {
			want[field] = value
		}
		s.asks(t, name, want)
	}
}

func TestSend_UsesTheOptionsOfTheAccount(t *testing.T) {
	t.Parallel()
	_, s := answering(t, 200, "3509592,-401")
	p := open(t, Config{Endpoint: providers.Endpoint{BaseURL: s.URL + "/prefix"}, ValidityPeriod: time.Minute, SourceTON: 1})
	got, err := p.Send(t.Context(), batch(one, two))
	if diff := cmp.Diff(res(accepted("3509592"), rejected("invalid_number", "-401")), got); diff != "" || err != nil {
		t.Errorf("got the error %v (-want +got):\n%s", err, diff)
	}
	s.asks(t, "send", url.Values{
		"Action": {"Send"}, "DestinationAddress": {"447777777771,447777777772"}, "SourceAddress": {"ACME"}, "Body": {"Hello"},
		"ValidityPeriod": {"60"}, "SourceTON": {"1"},
	})
}

func TestSend_InvalidBatchMakesNoRequest(t *testing.T) {
	t.Parallel()
	p, s := answering(t, 200, "3509592")
	many := make([]sms.MSISDN, 201)
	for name, change := range map[string]func(*providers.Batch, *SendOptions){
		"no recipients":         func(b *providers.Batch, _ *SendOptions) { b.To = nil },
		"too many":              func(b *providers.Batch, _ *SendOptions) { b.To = many },
		"no sender":             func(b *providers.Batch, _ *SendOptions) { b.From = "" },
		"no text":               func(b *providers.Batch, _ *SendOptions) { b.Body = "" },
		"type 2":                func(_ *providers.Batch, o *SendOptions) { o.SourceTON = 2 },
		"validity of a moment":  func(_ *providers.Batch, o *SendOptions) { o.ValidityPeriod = time.Millisecond },
		"validity of 1.5 s":     func(_ *providers.Batch, o *SendOptions) { o.ValidityPeriod = 1500 * time.Millisecond },
		"validity too long":     func(_ *providers.Batch, o *SendOptions) { o.ValidityPeriod = MaxValidity + time.Second },
		"negative validity":     func(_ *providers.Batch, o *SendOptions) { o.ValidityPeriod = -time.Second },
		"all ids of several":    func(b *providers.Batch, o *SendOptions) { b.To, o.AllMessageIDs = nums(one, two), true },
		"all IDs, no recipient": func(b *providers.Batch, o *SendOptions) { b.To, o.AllMessageIDs = nil, true },
	} {
		b, o := batch(one), SendOptions{}
		change(&b, &o)
		_, err := p.SendWith(t.Context(), b, o)
		if diff := cmp.Diff(refusedLocally("textconnect send", providers.Campaign), verdict(t, err)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if len(s.asked) != 0 {
		t.Errorf("got %d requests, want 0", len(s.asked))
	}
}

func TestVerdict_OfWholeCalls(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		status int
		body   string
		want   providers.Error
	}{
		"down":          {200, "-511", providers.Error{Outcome: providers.Retryable, Scope: providers.Account, Cause: providers.CauseGateway, Code: "-511"}},
		"no login":      {200, "-501", providers.Error{Outcome: providers.Retryable, Scope: providers.Account, Cause: providers.CauseCredentials, Code: "-501"}},
		"bad sender":    {200, "-518", providers.Error{Outcome: providers.Rejected, Scope: providers.Campaign, Cause: providers.CauseRefused, Code: "-518"}},
		"one of them":   {200, "-401", providers.Error{Outcome: providers.Rejected, Scope: providers.Call, Cause: providers.CauseRefused, Code: "-401"}},
		"database":      {200, "-300", providers.Error{Outcome: providers.Unknown, Scope: providers.Call, Cause: providers.CauseGateway, Code: "-300"}},
		"other length":  {200, "3509592", providers.Error{Outcome: providers.Unknown, Scope: providers.Call, Cause: providers.CauseNotUnderstood, Code: "http 200"}},
		"401, no words": {401, "", providers.Error{Outcome: providers.Retryable, Scope: providers.Account, Cause: providers.CauseCredentials, Code: "http 401", RetryAfter: 7 * time.Second}},
	} {
		p, s := answering(t, tc.status, tc.body)
		results, err := p.Send(t.Context(), batch(one, two))
		tc.want.Op = "textconnect send"
		if diff := cmp.Diff(tc.want, verdict(t, err)); diff != "" || results != nil {
			t.Errorf("%s: got %v (-want +got):\n%s", name, results, diff)
		}
		if len(s.asked) != 1 {
			t.Errorf("%s: got %d requests, want 1", name, len(s.asked))
		}
	}
}

func TestBalance(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]float64{"1234": 1234, " 12.50\n": 12.5, "0": 0, "7.25\nand more": 7.25, "1,234.5": 1234.5} {
		p, s := answering(t, 200, body)
		if got, err := p.Balance(t.Context()); err != nil || got != (providers.Balance{Amount: want}) {
			t.Errorf("%q: got the balance %+v and the error %v, want the credits of the case", body, got, err)
		}
		s.asks(t, body, url.Values{"Action": {"CheckCredits"}})
	}
	for body, want := range map[string]string{
		"-501": "retryable account credentials -501", "-100": "retryable account credit -100", "-300": "unknown call gateway -300",
		"-502": "rejected call refused -502", "-5": "unknown call not_understood -5", "-3.5": "unknown call not_understood http 200",
		"": "unknown call not_understood http 200", "1,23": "unknown call not_understood http 200", "1e5": "unknown call not_understood http 200",
		"<html>": "unknown call not_understood http 200", "inf": "unknown call not_understood http 200",
	} {
		p, _ := answering(t, 200, body)
		_, err := p.Balance(t.Context())
		if e := verdict(t, err); e.Op != "textconnect balance" || summary(e) != want {
			t.Errorf("%q: got %s, want %s", body, summary(e), want)
		}
	}
}

func summary(e providers.Error) string {
	return fmt.Sprint(e.Outcome, " ", e.Scope, " ", e.Cause, " ", e.Code)
}

func TestMessageStatus(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]providers.MessageStatus{
		"Pending":            {State: "Pending"},
		"SENT\n":             {State: "SENT"},
		"Delivered":          {State: "Delivered", Final: true, Delivered: true},
		"FAILED":             {State: "FAILED", Final: true},
		"undeliverable":      {State: "undeliverable", Final: true},
		"Expired\r\n":        {State: "Expired", Final: true},
		"COMMAND_REJECTED":   {State: "COMMAND_REJECTED", Final: true},
		"COMMAND_FAILED":     {State: "COMMAND_FAILED", Final: true},
		"UNKNOWN":            {State: "UNKNOWN"},
		"Sent\nnothing else": {State: "Sent"},
	} {
		p, s := answering(t, 200, body)
		if got, err := p.MessageStatus(t.Context(), "35&9592"); err != nil || got != want {
			t.Errorf("%q: got %+v and the error %v, want the status of the case", body, got, err)
		}
		s.asks(t, body, url.Values{"Action": {"CheckMessageStatus"}, "MessageID": {"35&9592"}})
	}
	for body, want := range map[string]string{
		"-503": "rejected call refused -503", "-511": "retryable account gateway -511", "Delivered!": "unknown call not_understood http 200",
		"": "unknown call not_understood http 200", "1": "unknown call not_understood http 200", "-999": "unknown call not_understood -999",
	} {
		p, _ := answering(t, 200, body)
		_, err := p.MessageStatus(t.Context(), "3509592")
		if e := verdict(t, err); e.Op != "textconnect status" || summary(e) != want {
			t.Errorf("%q: got %s, want %s", body, summary(e), want)
		}
	}
	p, s := answering(t, 200, "Sent")
	_, err := p.MessageStatus(t.Context(), "")
	if diff := cmp.Diff(refusedLocally("textconnect status", providers.Call), verdict(t, err)); diff != "" || len(s.asked) != 0 {
		t.Errorf("%d requests (-want +got):\n%s", len(s.asked), diff)
	}
}

func TestSendForm_FewAllocations(t *testing.T) {
	p := open(t, Config{})
	b := batch(slices.Repeat(nums(999999999999999), 200)...)
	b.Body = strings.Repeat("€", 459)
	o := SendOptions{ScheduleDate: time.Unix(1e9, 0), AllMessageIDs: true}
	if n := testing.AllocsPerRun(20, func() { p.sendForm(b, o) }); n > 3 { // the buffer of the form and the formatted date are allocated
		t.Errorf("got %v allocations for a form, want at most 3", n)
	}
}

func ExampleProvider_Send() {
	gateway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "3509592,-412,-411")
	}))
	defer gateway.Close()
	p, err := New(Config{Endpoint: providers.Endpoint{BaseURL: gateway.URL}, Token: "token"})
	if err != nil {
		fmt.Println(err)
		return
	}
	to := []sms.MSISDN{447777777771, 447777777772, 447777777773}
	results, err := p.Send(context.Background(), providers.Batch{From: "ACME", Body: "Hello", To: to})
	for i, r := range results {
		fmt.Println(to[i].Masked(), r.Outcome, r.MessageID, r.Reason, r.RetryAfter)
	}
	fmt.Println(err)
	// Output:
	// 4477****7771 accepted 3509592  0s
	// 4477****7772 rejected  blacklisted 0s
	// 4477****7773 retryable  daily_cap 24h0m0s
	// <nil>
}

// A connection may break after the first code of a list. The provider must not treat this code as
// the answer to the whole call.
func TestSend_CutListIsNotTakenForACode(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		end  string // the last header lines
		to   []sms.MSISDN
		want providers.Outcome
	}{
		"a reply that ends with the connection": {"Connection: close\r\n\r\n-100", []sms.MSISDN{447777777771, 447777777772}, providers.Unknown},
		"the same for one number":               {"Connection: close\r\n\r\n-100", []sms.MSISDN{447777777771}, providers.Retryable},
		"a reply that tells its length":         {"Content-Length: 4\r\n\r\n-100", []sms.MSISDN{447777777771, 447777777772}, providers.Retryable},
		"a reply that tells its end":            {"Transfer-Encoding: chunked\r\n\r\n4\r\n-100\r\n0\r\n\r\n", []sms.MSISDN{447777777771, 447777777772}, providers.Retryable},
	} {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		var serving sync.WaitGroup
		serving.Go(func() {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
			if r, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
				_, _ = io.Copy(io.Discard, r.Body)
			}
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\n"+tc.end)
		})
		p, err := New(Config{Endpoint: providers.Endpoint{BaseURL: "http://" + listener.Addr().String()}, Token: "t"})
		if err != nil {
			t.Fatal(err)
		}
		_, err = p.Send(t.Context(), providers.Batch{From: "ACME", Body: "Hello", To: tc.to})
		if e, ok := err.(*providers.Error); !ok || e.Outcome != tc.want {
			t.Errorf("%s: got %v, want %v", name, err, tc.want)
		}
		serving.Wait()
		_ = listener.Close()
	}
}
