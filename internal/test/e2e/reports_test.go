package e2e

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/internal/test/redistest"
	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/providers/catalog"
)

// reporting is a deployment with an account "at" at Africa's Talking and a tuma serve process that takes the
// delivery reports.
type reporting struct {
	*deployment
	listen string // address of tuma serve
	door   string // URL for delivery reports
	serve  *exec.Cmd
}

// newReporting starts a Redis that writes each change to disk before it answers, the sandbox, a worker and tuma
// serve.
func newReporting(t *testing.T, o simulator.Options) *reporting {
	t.Helper()
	gateway := catalog.Simulate(o)
	srv := httptest.NewServer(gateway)
	t.Cleanup(func() {
		gateway.Close()
		srv.Close()
	})
	x := &reporting{listen: freeAddress(t)}
	x.door = "http://" + x.listen + "/callbacks/at/a-secret-for-tests/delivery"
	x.deployment = deploymentWith(t, gateway, "  at:\n    provider: africastalking\n    base_url: "+srv.URL+"/africastalking\n    username: demo\n    api_key: demopass\n"+
		"    sender: ACME\n    rate: \"0\"\n    timeout: 2s\n    max_recipients: 100\n    callback_secret: a-secret-for-tests\n", redistest.WithAOF("always"))
	x.write("tuma.yaml", "redis: {url: '"+x.redis.UserURL()+"', durability: fsync}\n"+x.read("tuma.yaml")[len("redis: {url: '"+x.redis.UserURL()+"'}\n"):])
	x.start()
	x.startServe()
	return x
}

// startServe starts a tuma serve process, and returns when it is ready.
func (x *reporting) startServe() {
	x.t.Helper()
	x.serve = x.process("serve", "--listen", x.listen)
	x.eventually(20*time.Second, "tuma serve", func() bool {
		status, _ := x.readyz(x.listen)
		return status == http.StatusOK
	})
}

// post posts a delivery report that tuma serve must take.
func (x *reporting) post(form url.Values) {
	x.t.Helper()
	ctx, cancel := context.WithTimeout(x.t.Context(), 20*time.Second)
	defer cancel()
	if status := postForm(ctx, x.door, form); status != http.StatusOK {
		x.t.Fatalf("the report %v got the status %d, want 200", form, status)
	}
}

// postForm posts a form and returns the status of the answer; 0 if there is none.
func postForm(ctx context.Context, to string, form url.Values) int {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, strings.NewReader(form.Encode()))
	if err != nil {
		return 0
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

// rows returns the results of a campaign.
func (x *reporting) rows(id string) (out []producer.Result) {
	x.t.Helper()
	for r, err := range x.client.Results(x.t.Context(), id) {
		if err != nil {
			x.t.Fatal(err)
		}
		out = append(out, r)
	}
	return out
}

// Numbers that reports call UserInBlackList are added to the list of the sender ID, once reports about delivered messages
// around them prove the sender ID. Then the next campaign does not send to them.
func TestReports_BlacklistedNumbersAreSuppressed(t *testing.T) {
	t.Parallel()
	x := newReporting(t, simulator.Options{})
	const n = 6
	campaign := func(id string) producer.Status {
		t.Helper()
		if _, err := x.client.Enqueue(t.Context(), producer.Campaign{ID: id, Via: "at", Body: text}, campaignNumbers(1, n)); err != nil {
			t.Fatal(err)
		}
		return x.wait(id, 30*time.Second)
	}
	campaign("first")
	rows := x.rows("first")
	report := func(i int, status, reason string) {
		t.Helper()
		x.post(url.Values{"id": {rows[i].MessageID}, "phoneNumber": {"+" + rows[i].MSISDN}, "status": {status}, "failureReason": {reason}})
	}
	suppressed := func() (out []string) {
		t.Helper()
		for _, r := range rows {
			var list []struct{ Sender, Origin string }
			if err := json.Unmarshal([]byte(x.must("optout", "check", r.MSISDN, "--json")), &list); err != nil {
				t.Fatal(err)
			}
			for _, e := range list {
				out = append(out, r.MSISDN+" "+e.Sender+" "+e.Origin)
			}
		}
		return out
	}
	report(0, "Rejected", "UserInBlackList") // no delivered message has proved the sender ID yet
	report(1, "Success", "")
	report(2, "Rejected", "UserInBlackList")
	report(2, "Rejected", "UserInBlackList")
	report(3, "Failed", "AbsentSubscriber")
	if got := suppressed(); len(got) != 0 {
		t.Errorf("before a message is delivered after them, the lists have %q", got)
	}
	report(4, "Success", "")
	want := []string{rows[2].MSISDN + " ACME gateway:at:UserInBlackList"}
	if got := suppressed(); !slices.Equal(got, want) {
		t.Errorf("the lists have %q, want %q", got, want)
	}
	if s := campaign("second"); s.Skipped != 1 || s.Accepted != n-1 {
		t.Errorf("the second campaign has the status %+v, want 1 skipped", s)
	}
	if s := x.status("first"); s.Delivered != 2 || s.Undelivered != 3 || s.Accepted != 1 {
		t.Errorf("the first campaign has the status %+v, want 2 delivered, 3 undelivered, 1 accepted", s)
	}
}
