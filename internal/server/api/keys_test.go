package api

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/tuma-sms/tuma/internal/audit"
	"github.com/tuma-sms/tuma/internal/keys"
	"github.com/tuma-sms/tuma/internal/script"
	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/producer/producertest"
)

// newKey reads the answer to a request that makes a key.
func (r *rig) newKey(what string, got answer) (id, secret string) {
	r.Helper()
	r.want(what, got, http.StatusCreated)
	var made struct {
		ID  string `json:"id"`
		Key string `json:"key"`
	}
	if err := json.Unmarshal([]byte(got.body), &made); err != nil || made.ID == "" || made.Key == "" {
		r.Fatalf("%s: %v in %s", what, err, got.body)
	}
	return made.ID, made.Key
}

func TestKeys_CreateRotateRevoke(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	admin := r.key(nil, keys.ScopeAdmin)
	id, secret := r.newKey("create", r.do(admin, "POST", "/v1/keys", `{"name":"shop","scopes":["send"],"accounts":["kobo-main"],"daily":3}`))
	r.want("the new key", r.do(secret, "GET", "/v1/accounts", ""), http.StatusOK)
	r.want("its scope", r.do(secret, "GET", "/v1/keys", ""), http.StatusForbidden)
	list := r.do(admin, "GET", "/v1/keys", "")
	if r.want("list", list, http.StatusOK, `"name":"shop"`, `"daily":3`); strings.Contains(list.body, strings.Split(secret, "_")[2]) || strings.Contains(list.body, "hash") {
		t.Errorf("the list has a secret or its hash: %s", list.body)
	}
	next, rotated := r.newKey("rotate", r.do(admin, "POST", "/v1/keys/"+id+"/rotate", `{"overlap":3600}`))
	for what, key := range map[string]string{"the old key in the overlap": secret, "the rotated key": rotated} {
		r.want(what, r.do(key, "GET", "/v1/accounts", ""), http.StatusOK)
	}
	_, last := r.newKey("rotate at once", r.do(admin, "POST", "/v1/keys/"+next+"/rotate", `{}`))
	r.want("without overlap", r.do(rotated, "GET", "/v1/accounts", ""), http.StatusUnauthorized)
	r.want("last", r.do(last, "GET", "/v1/accounts", ""), http.StatusOK)
	r.want("revoke", r.do(admin, "DELETE", "/v1/keys/"+id, ""), http.StatusNoContent)
	r.want("revoked", r.do(secret, "GET", "/v1/accounts", ""), http.StatusUnauthorized)
	r.want("rotate a revoked key", r.do(admin, "POST", "/v1/keys/"+id+"/rotate", `{}`), http.StatusNotFound)
	r.want("too long an overlap", r.do(admin, "POST", "/v1/keys/"+next+"/rotate", `{"overlap":99999999}`), http.StatusUnprocessableEntity)
	r.want("all mistakes", r.do(admin, "POST", "/v1/keys", `{"name":"a\u0001b","scopes":["send"],"accounts":[""],"expires_at":"2020-01-01T00:00:00Z"}`), http.StatusUnprocessableEntity,
		"body.name", "body.accounts", "body.expires_at")
	r.want("unknown scope", r.do(admin, "POST", "/v1/keys", `{"name":"x","scopes":["all"]}`), http.StatusUnprocessableEntity)
	r.want("audit", r.do(admin, "GET", "/v1/audit", ""), http.StatusOK, `"what":"key.create"`, `"what":"key.rotate"`, `"what":"key.revoke"`)
}

// If a campaign is cancelled, the messages that it did not send are given back once to the daily limit of its
// key. The messages of a retry count against this limit.
func TestKeys_DailyLimitOfCancelledAndRetried(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	key := r.key(func(k *keys.Key) { k.Daily = 3 }, keys.ScopeSend)
	two := `{"id":"two","via":"kobo-main","country":"KE","body":"x","recipients":[{"number":"0712345678"},{"number":"0712345679"}]}`
	r.want("two", r.do(key, "POST", "/v1/campaigns", two), http.StatusAccepted)
	another := strings.Replace(two, `"two"`, `"another"`, 1)
	r.want("two more", r.do(key, "POST", "/v1/campaigns", another), http.StatusTooManyRequests)
	r.want("cancel", r.do(key, "POST", "/v1/campaigns/two/cancel", ""), http.StatusOK)
	r.want("cancel again", r.do(key, "POST", "/v1/campaigns/two/cancel", ""), http.StatusOK)
	r.want("two more after the cancel", r.do(key, "POST", "/v1/campaigns", another), http.StatusAccepted)
	r.want("given back once", r.do(key, "POST", "/v1/campaigns", strings.Replace(two, `"two"`, `"third"`, 1)), http.StatusTooManyRequests)

	// The campaign "refused" has one rejected and two unknown recipients.
	if _, err := r.client.Enqueue(t.Context(), producer.Campaign{ID: "refused", Via: "kobo-main", Country: "KE", Body: "x"}, producer.Numbers("0712345678", "0712345679", "0712345680")); err != nil {
		t.Fatal(err)
	}
	if err := r.rdb.HSet(t.Context(), "tuma:{refused}:l", "pending", 0, "rejected", 1, "unknown", 2).Err(); err != nil {
		t.Fatal(err)
	}
	r.want("a retry beyond the limit", r.do(key, "POST", "/v1/campaigns/refused/retry", `{"unknown":true}`), http.StatusTooManyRequests)
	// The request is within the daily limit. But it is refused, because the campaign is being planned. So its
	// messages are not counted, however often the request is repeated.
	for range 3 {
		r.want("a retry that is refused", r.do(key, "POST", "/v1/campaigns/refused/retry", `{"rejected":true}`), http.StatusConflict)
	}
	r.want("the last one of the day", r.do(key, "POST", "/v1/messages", `{"to":"+254712345678","body":"x","via":"kobo-main"}`), http.StatusAccepted)
	r.want("a retry after that", r.do(key, "POST", "/v1/campaigns/refused/retry", `{"rejected":true}`), http.StatusTooManyRequests)
}

// This test has a worker. A retry counts the messages that it sends again. The sweeper gives back the messages of
// a campaign that another program has cancelled.
func TestKeys_DailyLimitWithAWorker(t *testing.T) {
	t.Parallel()
	tuma := producertest.New(t)
	store := keys.New(script.NewRunner(tuma.Redis(), script.Durability{}))
	server := httptest.NewServer(New(Config{Client: tuma.Client(), Keys: store, Audit: audit.New(tuma.Redis()), Logger: zerolog.Nop(), Version: "test"}))
	t.Cleanup(server.Close)
	r := &rig{TB: t, client: tuma.Client(), keys: store, url: server.URL}
	key := r.key(func(k *keys.Key) { k.Daily = 3 }, keys.ScopeSend)
	campaign := `{"id":"c","via":"test","body":"x","recipients":[{"number":"+254712345678"},{"number":"+254712345679"}]}`
	tuma.RejectNext(1, "refused")
	r.want("send", r.do(key, "POST", "/v1/campaigns", campaign), http.StatusAccepted)
	if st, err := tuma.Client().Wait(t.Context(), "c"); err != nil || st.Rejected != 2 {
		t.Fatalf("%+v, %v; want two rejected recipients", st, err)
	}
	r.want("a retry of two", r.do(key, "POST", "/v1/campaigns/c/retry", `{"rejected":true}`), http.StatusTooManyRequests)
	r.want("report", r.do(key, "GET", "/v1/campaigns/c/report", ""), http.StatusOK, `"recipients":2,"statuses":{"rejected":2}`, `"reasons":[{"status":"rejected","reason":"refused","recipients":2}]`, `"cost":[]`, `"created_by":"key:test (`)
	r.want("no report", r.do(key, "GET", "/v1/campaigns/none/report", ""), http.StatusNotFound)
	more := r.key(func(k *keys.Key) { k.Daily = 4 }, keys.ScopeSend)
	r.want("a retry with another key", r.do(more, "POST", "/v1/campaigns/c/retry", `{"rejected":true}`), http.StatusOK, `"recipients":2`)
	later := strings.Replace(strings.Replace(campaign, `"c"`, `"later"`, 1), `"body"`, `"start_at":"2099-01-01T00:00:00Z","body"`, 1)
	r.want("the retry has counted: two are left", r.do(more, "POST", "/v1/campaigns", later), http.StatusAccepted)
	one := func(id string) answer {
		t.Helper()
		return r.do(more, "POST", "/v1/messages", `{"id":"`+id+`","to":"+254712345678","body":"x","via":"test"}`)
	}
	r.want("spent", one("m1"), http.StatusTooManyRequests)
	if _, err := tuma.Client().Cancel(t.Context(), "later"); err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for got := one("m1"); got.status != http.StatusAccepted; got = one("m1") {
		select {
		case <-tick.C:
		case <-t.Context().Done():
			t.Fatalf("the cancelled messages were not given back: %s", got.body)
		}
	}
	r.want("the second one", one("m2"), http.StatusAccepted)
	r.want("no third one", one("m3"), http.StatusTooManyRequests)
}
