package api

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"github.com/tuma-sms/tuma/internal/audit"
	"github.com/tuma-sms/tuma/internal/keys"
	"github.com/tuma-sms/tuma/internal/script"
	"github.com/tuma-sms/tuma/internal/test/redistest"
	"github.com/tuma-sms/tuma/internal/webhook"
	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/providers"
)

// rig is the API on a separate Redis, without a worker.
type rig struct {
	testing.TB
	rdb    *redis.Client
	client *producer.Client
	keys   *keys.Store
	hooks  *webhook.Service
	url    string
}

func newRig(t testing.TB, change ...func(*API)) *rig {
	t.Helper()
	rdb := redistest.Start(t).Client()
	known := producer.Account{Name: "kobo-main", Sender: "ACME", Country: "KE", Info: providers.Info{Name: "kobo", MaxRecipients: 500, SenderAlphaMax: 11, MaxChars: 905, MaxSegments: 6}}
	other := known
	other.Name = "other"
	client, err := producer.New(rdb, producer.WithAccounts(known, other), producer.WithPollInterval(5*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{TB: t, rdb: rdb, client: client, keys: keys.New(script.NewRunner(rdb, script.Durability{}))}
	r.hooks = webhook.New(script.NewRunner(rdb, script.Durability{}), client, zerolog.Nop())
	a := New(Config{Client: client, Keys: r.keys, Audit: audit.New(rdb), Webhooks: r.hooks, Logger: zerolog.New(zerolog.NewTestWriter(t)).Level(zerolog.WarnLevel), Version: "test",
		Rate: func(context.Context, string, string) error { return nil }})
	for _, f := range change {
		f(a)
	}
	server := httptest.NewServer(a)
	t.Cleanup(server.Close)
	r.url = server.URL
	return r
}

// The method "key" makes an API key with the given scopes, and returns its secret.
func (r *rig) key(change func(*keys.Key), scopes ...keys.Scope) string {
	r.Helper()
	k := keys.Key{Name: "test", Scopes: scopes}
	if change != nil {
		change(&k)
	}
	secret, _, err := r.keys.Create(r.Context(), k)
	if err != nil {
		r.Fatal(err)
	}
	return secret
}

// answer is the answer to a request.
type answer struct {
	status int
	header http.Header
	body   string
}

// The method "do" sends a request. In the parameter "headers", each name is followed by its value.
func (r *rig) do(key, method, path, body string, headers ...string) answer {
	r.Helper()
	req, err := http.NewRequestWithContext(r.Context(), method, r.url+path, strings.NewReader(body))
	if err != nil {
		r.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		r.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		r.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, string(text)}
}

// The method "want" fails the test if the answer has another status, or lacks one of the texts.
func (r *rig) want(what string, got answer, status int, texts ...string) {
	r.Helper()
	if got.status != status {
		r.Errorf("%s: got status %d and %s, want %d", what, got.status, got.body, status)
	}
	for _, text := range texts {
		if !strings.Contains(got.body, text) {
			r.Errorf("%s: got %s, want it to contain %q", what, got.body, text)
		}
	}
	if status >= 400 && !strings.HasPrefix(got.header.Get("Content-Type"), "application/problem+json") {
		r.Errorf("%s: the content type of a problem is %q", what, got.header.Get("Content-Type"))
	}
}

const oneCode = `{"to":"0712345678","country":"KE","via":"kobo-main","body":"Your code is {{1}}","ref":"r 1"}`

func TestMessages_OnceForOneKey(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	key := r.key(nil, keys.ScopeSend)
	first := r.do(key, "POST", "/v1/messages", oneCode, "Idempotency-Key", "otp-1")
	r.want("first", first, http.StatusAccepted, `"id":"otp-1"`, `"status":"pending"`, `"ref":"r 1"`, "Your code is {{1}}")
	if got := first.header.Get("Location"); got != "/v1/messages/otp-1" {
		t.Errorf("location %q", got)
	}
	again := r.do(key, "POST", "/v1/messages", oneCode, "Idempotency-Key", "otp-1")
	r.want("again", again, http.StatusOK, `"id":"otp-1"`)
	if again.header.Get("Tuma-Repeated") != "true" || first.header.Get("Tuma-Repeated") != "" {
		t.Error("only the repeated answer must have Tuma-Repeated")
	}
	r.want("other content", r.do(key, "POST", "/v1/messages", strings.Replace(oneCode, "r 1", "r 2", 1), "Idempotency-Key", "otp-1"), http.StatusUnprocessableEntity)
	r.want("two IDs", r.do(key, "POST", "/v1/messages", `{"id":"x",`+oneCode[1:], "Idempotency-Key", "y"), http.StatusUnprocessableEntity, "Idempotency-Key")
	r.want("status", r.do(key, "GET", "/v1/messages/otp-1", ""), http.StatusOK, `"to":"254712345678"`)
	r.want("none", r.do(key, "GET", "/v1/messages/none", ""), http.StatusNotFound)
}

func TestProblems_AllMistakesWithoutTheValues(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	key := r.key(nil, keys.ScopeAdmin)
	got := r.do(key, "POST", "/v1/messages", `{"to":"12","country":"XX","via":"nowhere","body":"secret text","expires_at":"2001-01-01T00:00:00Z"}`)
	r.want("mistakes", got, http.StatusUnprocessableEntity, `"body.country"`, `"body.via"`, `"body.expires_at"`)
	for name, x := range map[string]struct {
		method, path, body string
		status             int
	}{
		"unknown member": {"POST", "/v1/messages", `{"to":"0712345678","body":"secret text","nonsense":"0799999999"}`, 422},
		"wrong type":     {"POST", "/v1/messages", `{"to":712345678,"body":"secret text"}`, 422},
		"not JSON":       {"POST", "/v1/messages", `{"to":"secret text`, 400},
		"unknown path":   {"GET", "/v1/nothing", "", 404},
		"unknown method": {"PATCH", "/v1/campaigns", "", 405},
		"campaign":       {"POST", "/v1/campaigns", `{"id":"c","body":"secret text","via":"kobo-main","recipients":[{"number":"0712345678","nonsense":1}]}`, 422},
		"campaign type":  {"POST", "/v1/campaigns", `{"id":"c","body":"secret text","recipients":["0799999999"]}`, 422},
		"no recipients":  {"POST", "/v1/campaigns", `{"id":"c","body":"secret text","via":"kobo-main"}`, 422},
		"no ID":          {"POST", "/v1/campaigns", `{"body":"x","via":"kobo-main","recipients":[{"number":"0712345678"}]}`, 422},
		"bad cursor":     {"GET", "/v1/campaigns?after=!", "", 422},
		"bad state":      {"GET", "/v1/campaigns?state=nowhere", "", 422},
		"bad limit":      {"GET", "/v1/campaigns?limit=0", "", 422},
		"bad rows":       {"GET", "/v1/campaigns/none/results?status=nowhere", "", 404},
	} {
		got := r.do(key, x.method, x.path, x.body)
		r.want(name, got, x.status)
		if strings.Contains(got.body, "secret text") || strings.Contains(got.body, "0799999999") || strings.Contains(got.body, "712345678") {
			t.Errorf("%s: the problem repeats what was sent: %s", name, got.body)
		}
	}
	large := `{"id":"c","via":"kobo-main","body":"x","recipients":[` + strings.Repeat(`{"number":"0712345678"},`, maxRecipients) + `{"number":"0712345678"}]}`
	r.want("too many recipients", r.do(key, "POST", "/v1/campaigns", large), http.StatusUnprocessableEntity, "text/csv")
	r.want("too large", r.do(key, "POST", "/v1/messages", `{"to":"`+strings.Repeat("x", maxJSON)+`"}`), http.StatusRequestEntityTooLarge)
	r.want("media type", r.do(key, "POST", "/v1/campaigns", "x", "Content-Type", "image/png"), http.StatusUnsupportedMediaType)
	r.want("no list", r.do(key, "POST", "/v1/campaigns?id=x&body=x&via=kobo-main", "\x00\x01\x02\x03", "Content-Type", "text/csv"), http.StatusUnprocessableEntity)
}

func TestCampaigns_EveryForm(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	key := r.key(nil, keys.ScopeSend)
	const list = "phone,name,order\n0712345678,Amina,A-1\n0712345679,Brian,A-2\n"
	query := func(id string) string {
		return "/v1/campaigns?" + url.Values{"id": {id}, "via": {"kobo-main"}, "country": {"KE"}, "body": {"Hi {{name}}"}, "ref_column": {"order"}}.Encode()
	}
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, _ = z.Write([]byte(list))
	_ = z.Close()
	var form bytes.Buffer
	m := multipart.NewWriter(&form)
	_ = m.WriteField("campaign", `{"id":"form","via":"kobo-main","country":"KE","body":"Hi {{name}}"}`)
	part, err := m.CreateFormFile("file", "list.csv")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = part.Write([]byte(list))
	_ = m.Close()
	for id, send := range map[string]func() answer{
		"json": func() answer {
			return r.do(key, "POST", "/v1/campaigns", `{"via":"kobo-main","country":"KE","body":"Hi {{name}}","recipients":[{"number":"0712345678","fields":{"name":"Amina"},"ref":"A-1"},{"number":"0712345679","fields":{"name":"Brian"},"ref":"A-2"}]}`, "Idempotency-Key", "json")
		},
		"csv": func() answer { return r.do(key, "POST", query("csv"), list, "Content-Type", "text/csv") },
		"gzip": func() answer {
			return r.do(key, "POST", query("gzip"), zipped.String(), "Content-Type", "text/csv", "Content-Encoding", "gzip")
		},
		"form": func() answer {
			return r.do(key, "POST", "/v1/campaigns?ref_column=order", form.String(), "Content-Type", m.FormDataContentType())
		},
		"ndjson": func() answer {
			return r.do(key, "POST", query("ndjson"), `{"phone":"0712345678","name":"Amina","order":"A-1"}`+"\n"+`{"phone":"0712345679","name":"Brian","order":"A-2"}`+"\n", "Content-Type", "application/x-ndjson")
		},
	} {
		r.want(id, send(), http.StatusAccepted, `"total":2`, `"id":"`+id+`"`)
		r.want(id+" again", send(), http.StatusOK, `"again":true`)
		r.want(id+" status", r.do(key, "GET", "/v1/campaigns/"+id, ""), http.StatusOK, `"total":2`, `"created_by":"key:test`)
		lines := r.do(key, "GET", "/v1/campaigns/"+id+"/results", "")
		r.want(id+" results", lines, http.StatusOK, `"input":"0712345679"`, `"ref":"A-1"`, `"ref":"A-2"`)
		table := r.do(key, "GET", "/v1/campaigns/"+id+"/results?after=1", "", "Accept", "text/csv")
		if table.status != http.StatusOK || !strings.HasPrefix(table.body, "2,") || strings.Count(table.body, "\n") != 1 || !strings.Contains(table.body, ",A-2,") {
			t.Errorf("%s: the second row as CSV is %q", id, table.body)
		}
	}
	dry := r.do(key, "POST", query("dry")+"&dry_run=true", list, "Content-Type", "text/csv")
	r.want("dry run", dry, http.StatusOK, `"would_send":2`)
	r.want("dry run enqueues nothing", r.do(key, "GET", "/v1/campaigns/dry", ""), http.StatusNotFound)
	if n := r.rdb.Keys(t.Context(), "tuma:{dry}*").Val(); len(n) != 0 {
		t.Errorf("a dry run left %q", n)
	}
}

// Text that a caller has sent must not become a formula in CSV. In JSON it is unchanged.
func TestResults_CSVHasNoFormulas(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	key := r.key(nil, keys.ScopeSend, keys.ScopeRead)
	const bad = "=HYPERLINK(0)"
	r.want("campaign", r.do(key, "POST", "/v1/campaigns", `{"id":"c","via":"kobo-main","country":"KE","body":"x","recipients":[{"number":"0712345678","ref":"`+bad+`"},{"number":"`+bad+`"}]}`), http.StatusAccepted)
	r.want("JSON", r.do(key, "GET", "/v1/campaigns/c/results", ""), http.StatusOK, `"ref":"`+bad+`"`)
	table := r.do(key, "GET", "/v1/campaigns/c/results", "", "Accept", "text/csv")
	r.want("CSV", table, http.StatusOK, ",'"+bad)
	if strings.Contains(table.body, ","+bad) {
		t.Errorf("the CSV has a formula: %q", table.body)
	}
}

func TestCampaigns_PagesAndVerbs(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	key := r.key(nil, keys.ScopeAdmin)
	var want []string
	for i := range 5 {
		id := fmt.Sprintf("c%d", i)
		want = append([]string{id}, want...)
		r.want(id, r.do(key, "POST", "/v1/campaigns", `{"id":"`+id+`","via":"kobo-main","country":"KE","body":"x","recipients":[{"number":"0712345678"}]}`), http.StatusAccepted)
	}
	r.want("message", r.do(key, "POST", "/v1/messages", oneCode), http.StatusAccepted)
	var got []string
	next := ""
	for pages := 0; pages == 0 || next != ""; pages++ {
		var page struct {
			Campaigns []struct{ ID string }
			Next      string
		}
		a := r.do(key, "GET", "/v1/campaigns?limit=2&after="+next, "")
		if err := json.Unmarshal([]byte(a.body), &page); err != nil || pages > 5 {
			t.Fatalf("page %d: %v: %s", pages, err, a.body)
		}
		for _, c := range page.Campaigns {
			got = append(got, c.ID)
		}
		next = page.Next
	}
	if !slices.Equal(got, want) {
		t.Errorf("the pages have %q, want %q", got, want)
	}
	r.want("pause", r.do(key, "POST", "/v1/campaigns/c0/pause", ""), http.StatusOK, `"state":"paused"`)
	r.want("resume", r.do(key, "POST", "/v1/campaigns/c0/resume", ""), http.StatusOK)
	r.want("purge too early", r.do(key, "DELETE", "/v1/campaigns/c0", ""), http.StatusConflict)
	r.want("cancel", r.do(key, "POST", "/v1/campaigns/c0/cancel", ""), http.StatusOK, `"state":"cancelled"`)
	r.want("pause after the end", r.do(key, "POST", "/v1/campaigns/c0/pause", ""), http.StatusConflict)
	r.want("purge", r.do(key, "DELETE", "/v1/campaigns/c0", ""), http.StatusNoContent)
	r.want("retry", r.do(key, "POST", "/v1/campaigns/c1/retry", `{"unknown":true}`), http.StatusConflict)
	r.want("retry without a choice", r.do(key, "POST", "/v1/campaigns/c1/retry", `{}`), http.StatusUnprocessableEntity)
	r.want("opt out", r.do(key, "POST", "/v1/optouts", `{"numbers":["0712345678"],"country":"KE"}`), http.StatusOK)
	r.want("opt-outs", r.do(key, "GET", "/v1/optouts?number=0712345678&country=KE", ""), http.StatusOK, "254712345678")
	r.want("opt out of nonsense", r.do(key, "POST", "/v1/optouts", `{"numbers":["12"]}`), http.StatusUnprocessableEntity)
	r.want("opt in", r.do(key, "POST", "/v1/optouts/remove", `{"numbers":["0712345678"],"country":"KE"}`), http.StatusOK, `"removed":1`)
	r.want("inbound", r.do(key, "GET", "/v1/inbound", ""), http.StatusOK, `"messages":[]`)
	r.want("accounts", r.do(key, "GET", "/v1/accounts", ""), http.StatusOK, `"accounts":[`)
	entries := r.do(key, "GET", "/v1/audit", "")
	r.want("audit", entries, http.StatusOK, `"campaign.create"`, `"campaign.purge"`, `"optout.add"`, "key:test (")
	for _, secret := range []string{"0712345678", "Your code"} {
		if strings.Contains(entries.body, secret) {
			t.Errorf("the audit log has %q: %s", secret, entries.body)
		}
	}
}

// Fifty identical simultaneous requests create one campaign.
func TestCampaigns_ParallelRequestsCreateOne(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	key := r.key(nil, keys.ScopeSend)
	var mu sync.Mutex
	count := map[int]int{}
	var receipts []string
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			a := r.do(key, "POST", "/v1/campaigns", `{"via":"kobo-main","country":"KE","body":"x","recipients":[{"number":"0712345678"},{"number":"0712345679"}]}`, "Idempotency-Key", "same")
			for a.status == http.StatusServiceUnavailable { // too many uploads are running; the answer says when the client may try again
				if a.header.Get("Retry-After") == "" {
					t.Error("a 503 without Retry-After")
				}
				a = r.do(key, "POST", "/v1/campaigns", `{"via":"kobo-main","country":"KE","body":"x","recipients":[{"number":"0712345678"},{"number":"0712345679"}]}`, "Idempotency-Key", "same")
			}
			mu.Lock()
			defer mu.Unlock()
			count[a.status]++
			var receipt struct {
				CreatedAt time.Time `json:"created_at"`
			}
			if err := json.Unmarshal([]byte(a.body), &receipt); err != nil {
				t.Error(err)
			}
			receipts = append(receipts, receipt.CreatedAt.String())
		})
	}
	wg.Wait()
	slices.Sort(receipts)
	if count[http.StatusAccepted] != 1 || count[http.StatusOK] != 49 || len(slices.Compact(receipts)) != 1 {
		t.Errorf("got the statuses %v and %d receipts, want one 202, 49 times 200, and one receipt", count, len(slices.Compact(receipts)))
	}
}
