package api

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/tuma-sms/tuma/internal/keys"
	"github.com/tuma-sms/tuma/internal/webhook"
)

const receiverSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// receiver starts a receiver. It configures webhooks that send to this receiver, with the given names, as tuma.yaml
// would. The receiver answers 200 to a message whose signature is right.
func (r *rig) receiver(names ...string) {
	r.Helper()
	hook, err := standardwebhooks.NewWebhook(receiverSecret)
	if err != nil {
		r.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err != nil || hook.Verify(body, req.Header) != nil {
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	r.Cleanup(server.Close)
	var list []webhook.Endpoint
	for _, name := range names {
		list = append(list, webhook.Endpoint{Name: name, URL: server.URL, AllowPrivate: true, Secrets: []webhook.Secret{{Key: receiverSecret}}})
	}
	r.hooks.SetConfigured(list)
}

func TestWebhooks_MakeTestRotateDelete(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.receiver("own")
	key := r.key(nil, keys.ScopeAdmin)
	const crm = `{"url":"https://crm.invalid/tuma","events":["campaign.state"]}`
	first := r.do(key, "POST", "/v1/webhooks", crm, "Idempotency-Key", "crm")
	r.want("create", first, http.StatusCreated, `"name":"crm"`, `"secret":"whsec_`, `"source":"api"`, `"cursor":"0-0"`)
	var made struct{ Secret string }
	if err := json.Unmarshal([]byte(first.body), &made); err != nil {
		t.Fatal(err)
	}
	again := r.do(key, "POST", "/v1/webhooks", `{"name":"crm",`+crm[1:])
	r.want("again", again, http.StatusOK, `"name":"crm"`)
	if again.header.Get("Tuma-Repeated") != "true" || strings.Contains(again.body, "whsec_") {
		t.Errorf("the repeated answer is %v %s; want Tuma-Repeated, and no secret", again.header, again.body)
	}
	r.want("another URL", r.do(key, "POST", "/v1/webhooks", `{"name":"crm","url":"https://other.invalid/"}`), http.StatusUnprocessableEntity)
	wrong := r.do(key, "POST", "/v1/webhooks", `{"name":"a b","url":"http://10.0.0.1/","events":["x"],"secret":"`+receiverSecret[:20]+`"}`)
	r.want("mistakes", wrong, http.StatusUnprocessableEntity, `"body.name"`, `"body.url"`, `"body.events"`, `"body.secret"`)
	if strings.Contains(wrong.body, receiverSecret[6:20]) {
		t.Errorf("the problem repeats the secret: %s", wrong.body)
	}
	r.want("no private addresses by the API", r.do(key, "POST", "/v1/webhooks", `{"name":"x","url":"http://127.0.0.1/","allow_private":true}`), http.StatusUnprocessableEntity)
	list := r.do(key, "GET", "/v1/webhooks", "")
	r.want("list", list, http.StatusOK, `"name":"own"`, `"source":"file"`, `"events":["campaign.state"]`)
	r.want("test", r.do(key, "POST", "/v1/webhooks/own/test", ""), http.StatusOK, `"delivered":true`, `"status":200`)
	r.want("test of a name that does not exist", r.do(key, "POST", "/v1/webhooks/crm/test", ""), http.StatusOK, `"delivered":false`, `"error":"`)
	rotated := r.do(key, "POST", "/v1/webhooks/crm/secret", "")
	r.want("rotate", rotated, http.StatusOK, `"secret":"whsec_`, `"old_until":"`)
	r.want("rotate in the file", r.do(key, "POST", "/v1/webhooks/own/secret", ""), http.StatusConflict, "tuma.yaml")
	r.want("delete in the file", r.do(key, "DELETE", "/v1/webhooks/own", ""), http.StatusConflict, "tuma.yaml")
	r.want("enable", r.do(key, "POST", "/v1/webhooks/crm/enable", ""), http.StatusNoContent)
	r.want("dead", r.do(key, "GET", "/v1/webhooks/crm/dead", ""), http.StatusOK, `"messages":[]`)
	r.want("redeliver", r.do(key, "POST", "/v1/webhooks/crm/redeliver", `{"ids":["1-1"]}`), http.StatusOK, `"queued":0`)
	r.want("redeliver nonsense", r.do(key, "POST", "/v1/webhooks/crm/redeliver", `{"ids":["x"]}`), http.StatusUnprocessableEntity)
	r.want("delete", r.do(key, "DELETE", "/v1/webhooks/crm", ""), http.StatusNoContent)
	for _, x := range [][2]string{{"DELETE", ""}, {"POST", "/test"}, {"POST", "/enable"}, {"POST", "/secret"}, {"GET", "/dead"}} {
		r.want(x[0]+x[1]+" afterwards", r.do(key, x[0], "/v1/webhooks/crm"+x[1], ""), http.StatusNotFound)
	}
	entries := r.do(key, "GET", "/v1/audit", "")
	r.want("audit", entries, http.StatusOK, `"webhook.create"`, `"webhook.test"`, `"webhook.secret"`, `"webhook.enable"`, `"webhook.redeliver"`, `"webhook.delete"`)
	for _, a := range []answer{list, entries} {
		if strings.Contains(a.body, "whsec_") || strings.Contains(a.body, made.Secret) {
			t.Errorf("a secret is shown: %s", a.body)
		}
	}
}
