package server

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/providers/africastalking/africastalkingsim"
	"github.com/tuma-sms/tuma/providers/textconnect/textconnectsim"
)

// TestSandbox_ForwardsAScriptOfMessages starts the script while Redis is down, so that the sandbox must repeat its
// requests.
func TestSandbox_ForwardsAScriptOfMessages(t *testing.T) {
	t.Parallel()
	for gateway, door := range map[string]string{"africastalking": "/callbacks/acme/" + firstSecret + "/inbound", "textconnect": "/callbacks/tc/" + secondSecret + "/inbound"} {
		t.Run(gateway, func(t *testing.T) {
			t.Parallel()
			r := newInboundRig(t)
			sandbox := httptest.NewServer(simulator.New(simulator.Options{}, map[string]simulator.NewVendor{"africastalking": africastalkingsim.New, "textconnect": textconnectsim.New}))
			t.Cleanup(sandbox.Close)
			address, _ := r.serve(nil)
			r.redis.Kill()
			type answer struct{ Messages, Taken, Refused, Lost, Repeated int }
			answers := make(chan answer, 1)
			go func() {
				var a answer
				defer func() { answers <- a }()
				resp, err := sandbox.Client().PostForm(sandbox.URL+"/_sandbox/inbound", url.Values{
					"gateway": {gateway}, "url": {"http://" + address + door}, "copies": {"2"}, "seed": {"7"},
					"messages": {"254711000001 20414 hello there\n254711000002 20414 STOP\n\n254711000003 20414 a+b & c% é\n"},
				})
				if err != nil {
					t.Error(err)
					return
				}
				defer func() { _ = resp.Body.Close() }()
				if err := json.NewDecoder(resp.Body).Decode(&a); err != nil {
					t.Error(err)
				}
			}()
			for deadline := time.Now().Add(30 * time.Second); !strings.Contains(r.log.String(), "callback not taken"); {
				if time.Now().After(deadline) {
					t.Fatal("the sandbox has sent no message")
				}
			}
			r.redis.Restart()
			if got := <-answers; got.Messages != 3 || got.Taken != 6 || got.Refused != 0 || got.Lost != 0 || got.Repeated == 0 {
				t.Errorf("the sandbox answers %+v; want 3 messages, 6 taken after repetitions", got)
			}
			var texts []string
			for _, m := range r.inbound() {
				texts = append(texts, m.From+" "+m.To+" "+m.Text)
			}
			slices.Sort(texts)
			if want := []string{"254711000001 20414 hello there", "254711000002 20414 STOP", "254711000003 20414 a+b & c% é"}; !slices.Equal(texts, want) {
				t.Errorf("the inbox has %q; want %q", texts, want)
			}
			if got := r.optOuts("254711000002"); !slices.Equal(got, []string{"20414 keyword"}) {
				t.Errorf("the lists of the sender of STOP are %q; want 20414", got)
			}
		})
	}
}

func TestSandbox_RefusesABadScript(t *testing.T) {
	t.Parallel()
	sandbox := httptest.NewServer(simulator.New(simulator.Options{}, map[string]simulator.NewVendor{"africastalking": africastalkingsim.New}))
	t.Cleanup(sandbox.Close)
	for name, form := range map[string]url.Values{
		"no gateway": {"url": {"http://127.0.0.1:1"}, "messages": {"1 2 3"}},
		"no url":     {"gateway": {"africastalking"}, "messages": {"1 2 3"}},
		"other url":  {"gateway": {"africastalking"}, "url": {"file:///etc/passwd"}, "messages": {"1 2 3"}},
		"no text":    {"gateway": {"africastalking"}, "url": {"http://127.0.0.1:1"}, "messages": {"254711000001"}},
		"copies":     {"gateway": {"africastalking"}, "url": {"http://127.0.0.1:1"}, "messages": {"1 2 3"}, "copies": {"0"}},
	} {
		resp, err := sandbox.Client().PostForm(sandbox.URL+"/_sandbox/inbound", form)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: status %d; want 400", name, resp.StatusCode)
		}
	}
}
