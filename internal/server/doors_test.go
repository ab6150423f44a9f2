package server

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tuma-sms/tuma/providers"
)

func TestDoors_RefusalsAreAlike(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	long := strings.Repeat("x", 5000)
	want := r.post("/")
	if want.Code != http.StatusNotFound {
		t.Fatalf("/ answers %d; want 404", want.Code)
	}
	for name, path := range map[string]string{
		"wrong secret":                "/callbacks/at/wrong-secret/optout",
		"no secret":                   "/callbacks/at//optout",
		"secret of another account":   "/callbacks/acme/" + secondSecret + "/optout",
		"prefix of the secret":        "/callbacks/at/" + firstSecret[:10] + "/optout",
		"secret and more":             "/callbacks/at/" + firstSecret + "x/optout",
		"secret and a NUL":            "/callbacks/at/" + firstSecret + "%00/optout",
		"long secret":                 "/callbacks/at/" + long + "/optout",
		"secret in upper case":        "/callbacks/at/" + strings.ToUpper(firstSecret) + "/optout",
		"unknown account":             "/callbacks/none/" + firstSecret + "/optout",
		"empty account":               "/callbacks//" + firstSecret + "/optout",
		"unknown kind":                "/callbacks/at/" + firstSecret + "/other",
		"kind that the gateway lacks": "/callbacks/tc/" + secondSecret + "/optout",
		"delivery without tracking":   "/callbacks/at/" + firstSecret + "/delivery",
		"place without tracking":      "/callbacks/at/" + firstSecret + "/delivery/c/1.2",
		"place of an opt-out":         "/callbacks/at/" + firstSecret + "/optout/c",
		"slash at the end":            "/callbacks/at/" + firstSecret + "/optout/",
		"no kind":                     "/callbacks/at/" + firstSecret,
		"unknown path":                "/metrics",
		"double slash":                "//callbacks/at/" + firstSecret + "/optout",
		"dots":                        "/x/../callbacks/at/" + firstSecret + "/optout",
	} {
		got := r.post(path, "senderId", "ACME", "phoneNumber", "+254711000001")
		if got.Code != want.Code || got.Body.String() != want.Body.String() || !cmp.Equal(got.Header(), want.Header()) {
			t.Errorf("%s: answers %d %q %v; want %d %q %v", name, got.Code, got.Body, got.Header(), want.Code, want.Body, want.Header())
		}
	}
	if got := r.optOuts("254711000001"); got != nil {
		t.Errorf("a refused callback put the number on the lists %q", got)
	}
}

func TestDoors_OptOutIsOnTheListBeforeTheAnswer(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	for _, tt := range []struct{ account, secret, sender, number, want string }{
		{"at", firstSecret, "ACME", "+254711000001", "ACME gateway:at:optout"},
		{"at", secondSecret, "20414", "+254711000002", "20414 gateway:at:optout"},
		{"acme", firstSecret, "", "254711000003", " gateway:acme:optout"},
		{"at", firstSecret, "a sender that no list can have", "254711000004", " gateway:at:optout"},
	} {
		got := r.post("/callbacks/"+tt.account+"/"+tt.secret+"/optout", "senderId", tt.sender, "phoneNumber", tt.number)
		if got.Code != http.StatusOK || got.Body.Len() > 0 {
			t.Errorf("%s: answers %d %q; want an empty 200", tt.number, got.Code, got.Body)
		}
		if lists := r.optOuts(tt.number); !slices.Equal(lists, []string{tt.want}) {
			t.Errorf("%s is on the lists %q; want %q", tt.number, lists, tt.want)
		}
	}
}

func TestDoors_NothingIsTakenWithoutRedis(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.redis.Kill()
	got := r.post("/callbacks/at/"+firstSecret+"/optout", "senderId", "ACME", "phoneNumber", "+254711000001")
	if got.Code != http.StatusServiceUnavailable || got.Header().Get("Retry-After") == "" {
		t.Errorf("without Redis: answers %d, Retry-After %q; want 503 and a time", got.Code, got.Header().Get("Retry-After"))
	}
	if w := r.request(http.MethodGet, "/readyz", nil); w.Code != http.StatusServiceUnavailable {
		t.Errorf("without Redis: /readyz answers %d; want 503", w.Code)
	}
	if w := r.request(http.MethodGet, "/healthz", nil); w.Code != http.StatusOK {
		t.Errorf("without Redis: /healthz answers %d; want 200", w.Code)
	}
	r.redis.Restart()
	got = r.post("/callbacks/at/"+firstSecret+"/optout", "senderId", "ACME", "phoneNumber", "+254711000001")
	if got.Code != http.StatusOK {
		t.Errorf("with Redis back: answers %d; want 200", got.Code)
	}
}

func TestDoors_UnreadableCallbacks(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	path := "/callbacks/at/" + firstSecret + "/optout"
	for name, tt := range map[string]struct {
		method, body string
		want         int
	}{
		"no number":   {http.MethodPost, "senderId=ACME", http.StatusBadRequest},
		"empty":       {http.MethodPost, "", http.StatusBadRequest},
		"method":      {http.MethodPut, "senderId=A&phoneNumber=%2B254711000001", http.StatusMethodNotAllowed},
		"too large":   {http.MethodPost, "senderId=A&phoneNumber=%2B254711000001&x=" + strings.Repeat("x", maxBody), http.StatusRequestEntityTooLarge},
		"many fields": {http.MethodPost, "phoneNumber=%2B254711000001" + strings.Repeat("&x=", 200), http.StatusBadRequest},
	} {
		if got := r.request(tt.method, path, strings.NewReader(tt.body)); got.Code != tt.want {
			t.Errorf("%s: answers %d; want %d", name, got.Code, tt.want)
		}
	}
	if got := r.optOuts("254711000001"); got != nil {
		t.Errorf("an unreadable callback put the number on the lists %q", got)
	}
}

// Gateways repeat each callback that gets an error. If Redis is away, these repeats must not fill the disk with log
// lines.
func TestDoors_LogIsBounded(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	began := time.Now()
	for range 200 {
		r.post("/callbacks/at/"+firstSecret+"/optout", "senderId", "ACME")
	}
	r.post("/callbacks/acme/"+firstSecret+"/optout", "senderId", "ACME")
	most := linesPerSecond * (int(time.Since(began)/time.Second) + 2)
	if n := strings.Count(r.log.String(), `"account":"at"`); n == 0 || n > most {
		t.Errorf("200 callbacks that were not taken have %d log lines, want 1 to %d", n, most)
	}
	if n := strings.Count(r.log.String(), `"account":"acme"`); n != 1 {
		t.Errorf("the callback of another account has %d log lines, want 1", n)
	}
}

func TestDoors_LogHasNoSecretsNumbersOrTexts(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	private := []string{firstSecret, secondSecret, "mistyped-secret", "254711000001", "711000001", "private text"}
	r.post("/callbacks/at/mistyped-secret/optout", "phoneNumber", "+254711000001")
	r.post("/callbacks/at/"+firstSecret+"/optout", "phoneNumber", "+254711000001 private text", "senderId", "private text")
	r.request(http.MethodPut, "/callbacks/at/"+firstSecret+"/optout?phoneNumber=254711000001", nil)
	r.redis.Kill()
	r.post("/callbacks/at/"+secondSecret+"/optout", "phoneNumber", "+254711000001", "senderId", "ACME")
	logged := r.log.String()
	if strings.Count(logged, "\n") < 4 {
		t.Fatalf("the log is\n%swant a line for each of the four callbacks", logged)
	}
	for _, text := range private {
		if strings.Contains(logged, text) {
			t.Errorf("the log contains %q:\n%s", text, logged)
		}
	}
}

// blockingReports holds delivery reports until the test closes the channel "release".
type blockingReports struct {
	entered, release chan struct{}
	place            string
}

func (b *blockingReports) Deliver(_ context.Context, _, place string, _ []providers.DLR) error {
	b.place = place
	b.entered <- struct{}{}
	<-b.release
	return nil
}

func TestNew_NamesEveryBadSecret(t *testing.T) {
	t.Parallel()
	_, err := New(Config{Accounts: []Account{
		{Name: "one", Secrets: []providers.Secret{"short"}},
		{Name: "two", Secrets: []providers.Secret{"with/slash-in-it"}},
		{Name: "three", Secrets: []providers.Secret{"secret-number-1", "secret-number-2", "secret-number-3"}},
	}})
	if err == nil {
		t.Fatal("New takes bad secrets")
	}
	for _, part := range []string{"account one:", "account two:", "account three:"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the error is %v; want %s named", err, part)
		}
	}
	if strings.Contains(err.Error(), "slash-in-it") {
		t.Errorf("the error contains a secret: %v", err)
	}
}

func TestClientOf(t *testing.T) {
	t.Parallel()
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	for name, tt := range map[string]struct {
		remote    string
		forwarded []string
		want      string
	}{
		"direct":                        {"192.0.2.1:999", nil, "192.0.2.1"},
		"header of a client":            {"192.0.2.1:999", []string{"198.51.100.7"}, "192.0.2.1"},
		"one proxy":                     {"10.1.1.1:999", []string{"198.51.100.7"}, "198.51.100.7"},
		"two proxies":                   {"10.1.1.1:999", []string{"198.51.100.7, 10.2.2.2"}, "198.51.100.7"},
		"client that forges the header": {"10.1.1.1:999", []string{"203.0.113.9, 198.51.100.7"}, "198.51.100.7"},
		"two headers":                   {"10.1.1.1:999", []string{"203.0.113.9", "198.51.100.7"}, "198.51.100.7"},
		"proxy by IPv6":                 {"[fd00::1]:999", []string{"2001:db8::7"}, "2001:db8::7"},
		"IPv4 in IPv6":                  {"[::ffff:10.1.1.1]:999", []string{"198.51.100.7"}, "198.51.100.7"},
		"no address in the header":      {"10.1.1.1:999", []string{"unknown"}, "10.1.1.1"},
		"only proxies":                  {"10.1.1.1:999", []string{"10.2.2.2"}, "10.2.2.2"},
		"proxy without the header":      {"10.1.1.1:999", nil, "10.1.1.1"},
	} {
		req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		req.RemoteAddr = tt.remote
		for _, f := range tt.forwarded {
			req.Header.Add("X-Forwarded-For", f)
		}
		if got := clientOf(req, trusted).String(); got != tt.want {
			t.Errorf("%s: client is %s; want %s", name, got, tt.want)
		}
	}
}
