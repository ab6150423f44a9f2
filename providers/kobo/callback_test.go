package kobo

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/providers"
)

func TestParseDelivery_States(t *testing.T) {
	t.Parallel()
	p := account(t, "http://127.0.0.1:1")
	const id = "24137cf8-eccc-469c-80af-109538857e53"
	for body, want := range map[string]providers.DLR{
		"status=DELIVRD&msg_id=" + id + "&dlr_code=000": {Status: providers.MessageStatus{Final: true, Delivered: true, State: "DELIVRD"}},
		"status=UNDELIV&msg_id=" + id + "&dlr_code=0dc": {Status: providers.MessageStatus{Final: true, State: "UNDELIV"}, Reason: "err:0dc"},
		"status=EXPIRED&dlr_code=err:015&msg_id=" + id:  {Status: providers.MessageStatus{Final: true, State: "EXPIRED"}, Reason: "err:015"},
		"status=REJECTD&msg_id=+" + id + "+":            {Status: providers.MessageStatus{Final: true, State: "REJECTD"}},
		"status=ENROUTE&msg_id=" + id:                   {Status: providers.MessageStatus{State: "ENROUTE"}},
		"status=SOMETHING&msg_id=" + id:                 {Status: providers.MessageStatus{State: "SOMETHING"}},
		"status=delivrd&cost=4.00&timestamp=2026-11-29+12:00:00&desc=ok&msg_id=" + id: {Status: providers.MessageStatus{Final: true, Delivered: true, State: "delivrd"},
			Fields: map[string]string{"cost": "4.00", "timestamp": "2026-11-29 12:00:00", "desc": "ok"}},
	} {
		want.MessageID = id
		got, err := p.ParseDelivery(providers.Callback{Method: http.MethodPost, ContentType: "application/x-www-form-urlencoded", Body: []byte(body)})
		if diff := cmp.Diff([]providers.DLR{want}, got); diff != "" || err != nil {
			t.Errorf("%s: error %v (-want +got):\n%s", body, err, diff)
		}
	}
	for _, body := range []string{"", "status=DELIVRD", "msg_id=" + id, "status=+&msg_id=" + id, "status=DELIVRD&msg_id=" + strings.Repeat("x", 129), `{"status":"DELIVRD","msg_id":"x"}`} {
		if got, err := p.ParseDelivery(providers.Callback{Method: http.MethodPost, Body: []byte(body)}); !errors.Is(err, providers.ErrCallback) {
			t.Errorf("%.60s: got %v and the error %v, want ErrCallback", body, got, err)
		}
	}
	if _, err := p.ParseDelivery(providers.Callback{Method: http.MethodGet, Query: "status=DELIVRD&msg_id=" + id}); !errors.Is(err, providers.ErrCallbackMethod) {
		t.Errorf("a GET: %v, want ErrCallbackMethod", err)
	}
}

// A call names the callback URL only if the batch has this URL. No printed text may contain the
// URL.
func TestSend_NamesTheCallbackURL(t *testing.T) {
	t.Parallel()
	const to = "https://sms.example.org/callbacks/kobo/hush-hush-1/delivery/c:u/0.0.0"
	b := batch(one)
	if form, err := url.ParseQuery(string(sendForm("user=u", b))); err != nil || form.Has("callback_url") {
		t.Errorf("a call without a callback URL has the form %v, error %v", form, err)
	}
	b.CallbackURL = to
	if form, err := url.ParseQuery(string(sendForm("user=u", b))); err != nil || form.Get("callback_url") != to {
		t.Errorf("got the form %v, error %v", form, err)
	}
	_, p := gateway(t, simulator.Options{})
	results, err := p.Send(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	refused := answering(t, 500, nil, to)
	_, failed := refused.Send(t.Context(), b)
	for _, text := range []string{fmt.Sprintf("%v %+v %#v", b, b, b), fmt.Sprintf("%+v", results), fmt.Sprintf("%v %+v %#v", failed, failed, verdict(t, failed))} {
		if strings.Contains(text, "hush") {
			t.Errorf("%s has the secret of the URL", text)
		}
	}
}

// FuzzParseCallback checks that every parsed report has an ID and a state that the form contains.
func FuzzParseCallback(f *testing.F) {
	for _, seed := range []string{"status=DELIVRD&msg_id=1", "status=UNDELIV&msg_id=1&dlr_code=0dc", "", "status=%ff&msg_id=%00", "msg_id=1&msg_id=2&status=a"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p := &Provider{}
		got, err := p.ParseDelivery(providers.Callback{Method: http.MethodPost, Body: []byte(text)})
		if err != nil {
			if len(got) > 0 || !errors.Is(err, providers.ErrCallback) {
				t.Fatalf("%q: got %v and the error %v", text, got, err)
			}
			return
		}
		d := got[0]
		if len(got) != 1 || d.MessageID == "" || d.Status.State == "" || d.Status.Delivered && !d.Status.Final || d.To != 0 ||
			!utf8.ValidString(d.MessageID+d.Status.State+d.Reason) || len(d.Reason) > 64 || len(d.Status.State) > 64 {
			t.Fatalf("%q: got %+v", text, got)
		}
	})
}
