package api

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/tuma-sms/tuma/internal/audit"
	"github.com/tuma-sms/tuma/internal/keys"
)

// Every operation of the OpenAPI document needs a key with the scope of the operation. The API serves nothing
// else under /v1.
func TestAuthorization_OfEveryOperation(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := New(Config{Client: r.client, Keys: r.keys, Audit: audit.New(r.rdb), Webhooks: r.hooks, Logger: zerolog.Nop(), Version: "test"})
	byScope := map[keys.Scope]string{}
	for _, s := range keys.Scopes {
		byScope[s] = r.key(nil, s)
	}
	allowed := map[string][]keys.Scope{"read": {"read", "send", "admin"}, "send": {"send", "admin"}, "admin": {"admin"}}
	ask := func(method, path, key string) int {
		t.Helper()
		req := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader("{}"))
		req.Header.Set("Content-Type", "application/json")
		if key != "" {
			req.Header.Set("Authorization", "Bearer "+key)
		}
		w := httptest.NewRecorder()
		a.ServeHTTP(w, req)
		return w.Code
	}
	n := 0
	ended := make(chan struct{})
	close(ended)
	a.Draining = ended // the channel is closed, so that each stream of events ends
	for path, item := range a.huma.OpenAPI().Paths {
		for _, d := range a.documented() {
			if d.Path != path {
				continue
			}
			n++
			if len(allowed[d.Scope]) == 0 {
				t.Fatalf("%s %s has the scope %q", d.Method, path, d.Scope)
			}
			real := strings.NewReplacer("{id}", "x", "{name}", "x").Replace(path)
			if got := ask(d.Method, real, ""); got != http.StatusUnauthorized {
				t.Errorf("%s %s without a key: %d", d.Method, path, got)
			}
			for scope, key := range byScope {
				got, may := ask(d.Method, real, key), false
				for _, s := range allowed[d.Scope] {
					may = may || s == scope
				}
				if (got == http.StatusForbidden) == may || got == http.StatusUnauthorized {
					t.Errorf("%s %s (scope %s) with a key of scope %s: %d", d.Method, path, d.Scope, scope, got)
				}
			}
		}
		_ = item
	}
	if n < 20 {
		t.Errorf("the document has %d operations, want at least 20", n)
	}
}

// A wrong, a revoked, an expired and a malformed key get the same answer.
func TestAuthorization_InvalidKeysLookAlike(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	key := r.key(nil, keys.ScopeRead)
	id := strings.Split(key, "_")[1]
	r.want("valid", r.do(key, "GET", "/v1/campaigns", ""), http.StatusOK)
	wrong := []string{"", "x", "tuma_", "tuma_" + id, "tuma_" + id + "_", key + "x", key[:len(key)-1], "tuma_ffffffffff_" + strings.Split(key, "_")[2], strings.Repeat("x", 4000)}
	var first answer
	for i, k := range wrong {
		got := r.do(k, "GET", "/v1/campaigns", "")
		if i == 0 {
			first = got
		}
		if got.status != http.StatusUnauthorized || got.body != first.body || got.header.Get("WWW-Authenticate") == "" {
			t.Errorf("key %.20q: %d %s, want the same as without a key: %s", k, got.status, got.body, first.body)
		}
	}
	if found, err := r.keys.Revoke(t.Context(), id); !found || err != nil {
		t.Fatal(found, err)
	}
	if got := r.do(key, "GET", "/v1/campaigns", ""); got.status != http.StatusUnauthorized || got.body != first.body {
		t.Errorf("a revoked key: %d %s", got.status, got.body)
	}
}

func TestAuthorization_AccountsSendersAndLimits(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	bound := r.key(func(k *keys.Key) { k.Accounts, k.Senders, k.Daily = []string{"kobo-main"}, []string{"ACME"}, 3 }, keys.ScopeSend)
	send := func(id, via, from string) answer {
		t.Helper()
		return r.do(bound, "POST", "/v1/messages", `{"id":"`+id+`","to":"+254712345678","body":"x","via":"`+via+`","from":"`+from+`"}`)
	}
	r.want("other account and sender", send("a", "other", "SHOP"), http.StatusForbidden, "kobo-main", "ACME")
	r.want("no account and sender", r.do(bound, "POST", "/v1/messages", `{"to":"+254712345678","body":"x"}`), http.StatusForbidden)
	r.want("campaign", r.do(bound, "POST", "/v1/campaigns", `{"id":"c","via":"other","from":"ACME","body":"x","recipients":[{"number":"0712345678"}]}`), http.StatusForbidden)
	r.want("first", send("m1", "kobo-main", "ACME"), http.StatusAccepted)
	r.want("refused ones do not count", send("m2", "kobo-main", "TOO-LONG-SENDER"), http.StatusForbidden)
	r.want("repeated ones do not count", send("m1", "kobo-main", "ACME"), http.StatusOK)
	two := `{"id":"two","via":"kobo-main","from":"ACME","country":"KE","body":"x","recipients":[{"number":"0712345678"},{"number":"0712345679"}]}`
	r.want("two more", r.do(bound, "POST", "/v1/campaigns", two), http.StatusAccepted)
	longest := untilTomorrow(time.Now())
	spent := send("m3", "kobo-main", "ACME")
	shortest := untilTomorrow(time.Now())
	r.want("spent", spent, http.StatusTooManyRequests)
	seconds, err := strconv.Atoi(spent.header.Get("Retry-After"))
	wait := time.Duration(seconds) * time.Second
	if newDay := shortest > longest; err != nil || !newDay && (wait < shortest || wait > longest) {
		t.Errorf("a 429 with Retry-After %s, %v; want the time until the next day, from %s to %s", wait, err, shortest, longest)
	}
	r.want("spent: a repeated request gets its receipt", send("m1", "kobo-main", "ACME"), http.StatusOK, `"id":"m1"`)
	r.want("spent: a repeated campaign too", r.do(bound, "POST", "/v1/campaigns", two), http.StatusOK, `"again":true`)
	r.want("spent: nothing is there", r.do(bound, "GET", "/v1/messages/m3", ""), http.StatusNotFound)
	r.want("spent: campaign", r.do(bound, "POST", "/v1/campaigns", strings.Replace(two, `"two"`, `"four"`, 1)), http.StatusTooManyRequests)
	r.want("spent: no campaign is there", r.do(bound, "GET", "/v1/campaigns/four", ""), http.StatusNotFound)
	slow := r.key(func(k *keys.Key) { k.PerSecond = 1 }, keys.ScopeRead)
	limited := 0
	for range 10 {
		if r.do(slow, "GET", "/v1/accounts", "").status == http.StatusTooManyRequests {
			limited++
		}
	}
	if limited < 5 {
		t.Errorf("%d of 10 requests in a moment were refused, want most", limited)
	}
}

// The page and the document need no key, load nothing, and name every operation.
func TestDocs_ArePublicAndComplete(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	page := r.do("", "GET", "/docs", "")
	document := r.do("", "GET", "/openapi.json", "")
	r.want("document", document, http.StatusOK, `"3.1.0"`, `"/v1/messages"`, `"/v1/campaigns/{id}/results"`, `"bearer"`)
	r.want("page", page, http.StatusOK, "POST /v1/messages", "expires_in")
	for _, text := range []string{"<script", "http://", "https://"} {
		if strings.Contains(page.body, text) {
			t.Errorf("the page has %q", text)
		}
	}
	if !strings.Contains(page.header.Get("Content-Security-Policy"), "default-src 'none'") {
		t.Error("the page has no strict policy")
	}
}

func TestUntilTomorrow_DaysBeginInUTC(t *testing.T) {
	t.Parallel()
	nairobi := time.FixedZone("EAT", 3*60*60)
	for _, x := range []struct {
		now  time.Time
		want time.Duration
	}{
		{time.Date(2026, 11, 29, 0, 0, 0, 0, time.UTC), time.Minute},
		{time.Date(2026, 11, 29, 0, 0, 59, 999, time.UTC), time.Minute},
		{time.Date(2026, 11, 29, 0, 1, 0, 0, time.UTC), 24*time.Hour - time.Minute},
		{time.Date(2026, 11, 29, 23, 59, 58, 500_000_000, time.UTC), 2 * time.Second},
		{time.Date(2026, 11, 30, 2, 0, 0, 0, nairobi), time.Hour},
		{time.Date(2026, 12, 31, 12, 0, 0, 0, time.UTC), 12 * time.Hour},
	} {
		if got := untilTomorrow(x.now); got != x.want {
			t.Errorf("%s: got %s, want %s", x.now, got, x.want)
		}
	}
}
