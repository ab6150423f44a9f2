package e2e

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/internal/test/redistest"
	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/providers/catalog"
)

// KoboMobile posts the reports of each call to the URL that the call named. The reports come early, twice and out of
// order. The URL contains a secret, which must be neither in Redis nor in a log.
func TestReports_GatewayPostsToTheURLOfTheCall(t *testing.T) {
	t.Parallel()
	const secret, n = "kobo-callback-secret-1", 600
	gateway := catalog.Simulate(simulator.Options{Seed: 1, Reports: simulator.Reports{Delay: 100 * time.Millisecond, Twice: 0.3, Early: 0.2, Interim: true}})
	srv := httptest.NewServer(gateway)
	t.Cleanup(func() { gateway.Close(); srv.Close() })
	x := &reporting{listen: freeAddress(t)}
	x.deployment = deploymentWith(t, gateway, "  kobo-main:\n    provider: kobo\n    base_url: "+srv.URL+"\n    user: demo\n    pass: demopass\n    sender: ACME\n    rate: 2000/s\n"+
		"    max_recipients: 100\n    callback_secret: "+secret+"\n    callback_url: true\n", redistest.WithAOF("always"))
	x.write("tuma.yaml", x.read("tuma.yaml")+"serve: {public_url: 'http://"+x.listen+"'}\n")
	x.startServe() // tuma serve starts before the worker, because the simulated gateway posts early reports during the call
	x.worker = x.start()
	if known, err := gateway.Gateway("kobo").Vendor().(interface {
		SetOption(name, value string) (bool, error)
	}).SetOption("report_fail", "0.25"); !known || err != nil {
		t.Fatalf("report_fail: known %t, error %v", known, err)
	}
	if _, err := x.client.Enqueue(t.Context(), producer.Campaign{ID: "sale", Via: "kobo-main", Body: text}, campaignNumbers(1, n)); err != nil {
		t.Fatal(err)
	}
	x.wait("sale", 30*time.Second)
	var st producer.Status
	x.eventually(30*time.Second, "the reports of all messages", func() bool {
		var err error
		if st, err = x.client.Status(t.Context(), "sale"); err != nil {
			t.Fatal(err)
		}
		return st.Delivered+st.Undelivered == n
	})
	if st.Undelivered < n/8 || st.Undelivered > n*3/8 || st.Reports == nil || st.Reports.Sampled || st.Reports.Expected != n {
		t.Errorf("got %+v, reports %+v; want about a quarter undelivered, of all messages", st.Counts, st.Reports)
	}
	for _, r := range x.rows("sale") {
		if r.Status == "undelivered" && r.Reason == "" {
			t.Errorf("row %d is undelivered without a reason", r.Row)
		}
	}
	// A report with a wrong secret, or about a wrong call, must change nothing. tuma serve answers a report with a
	// wrong secret with a 404, and a report about a wrong call with a 2xx.
	for path, want := range map[string]int{"/callbacks/kobo-main/kobo-callback-secret-2/delivery/sale:x/0.0.0": http.StatusNotFound, "/callbacks/kobo-main/" + secret + "/delivery/sale:x/0.0.0": http.StatusOK} {
		if got := postForm(t.Context(), "http://"+x.listen+path, map[string][]string{"status": {"DELIVRD"}, "msg_id": {"none"}}); got != want {
			t.Errorf("%s: status %d, want %d", strings.Replace(path, secret, "SECRET", 1), got, want)
		}
	}
	x.kill(x.serve)
	x.drain(x.worker)
	files, _ := filepath.Glob(filepath.Join(x.redis.Dir(), "appendonlydir", "*"))
	if files = append(files, filepath.Join(x.dir, "worker.log")); len(files) < 2 {
		t.Fatal("no append-only file")
	}
	for _, name := range files {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(content), secret) {
			t.Errorf("%s has the callback secret", filepath.Base(name))
		}
	}
}
