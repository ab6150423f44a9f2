package simulator_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/internal/simulator/simulatortest"
	"github.com/tuma-sms/tuma/providers/africastalking/africastalkingsim"
)

// door is a callback URL. It refuses the first post of each message with a 503.
type door struct {
	mu       sync.Mutex
	refused  map[string]bool
	statuses map[string][]string // maps a message ID to the statuses of its reports that got a 200
	posts    chan struct{}
}

func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	defer d.mu.Unlock()
	id := r.PostFormValue("id")
	if !d.refused[id] {
		d.refused[id] = true
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	d.statuses[id] = append(d.statuses[id], r.PostFormValue("status"))
	d.posts <- struct{}{}
}

func TestReports_AreRepeatedUntilTaken(t *testing.T) {
	t.Parallel()
	d := &door{refused: map[string]bool{}, statuses: map[string][]string{}, posts: make(chan struct{}, 1000)}
	web := httptest.NewServer(d)
	t.Cleanup(web.Close)
	s, address := simulatortest.Start(t, simulator.Options{}, map[string]simulator.NewVendor{"africastalking": africastalkingsim.New})
	control(t, address, "reports", "gateway", "africastalking", "url", web.URL, "delay", "1ms", "fail", "0.5", "twice", "1", "early", "0.2", "interim", "1")
	var to []string
	for i := range 100 {
		to = append(to, "+2547110000"+string(rune('0'+i/10))+string(rune('0'+i%10)))
	}
	form := url.Values{"username": {"demo"}, "to": {strings.Join(to, ",")}, "message": {"Hello"}, "bulkSMSMode": {"1"}, "enqueue": {"1"}}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address+"/version1/messaging", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("apiKey", "k")
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	for range 300 { // an interim report and two final reports of each message
		<-d.posts
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.statuses) != 100 {
		t.Errorf("reports about %d messages, want 100", len(d.statuses))
	}
	delivered := 0
	for id, all := range d.statuses {
		text := strings.Join(all, " ")
		if strings.Count(text, "Sent") != 1 || len(all) != 3 {
			t.Errorf("message %s has the reports %s", id, text)
		}
		if n := strings.Count(text, "Success"); n == 2 {
			delivered++
		} else if n != 0 {
			t.Errorf("message %s is both delivered and not: %s", id, text)
		}
	}
	stats := s.Gateway("africastalking").ReportStats()
	if stats.Messages != 100 || stats.Delivered != delivered || stats.Undelivered != 100-delivered || delivered < 20 || delivered > 80 || stats.Repeated < 100 {
		t.Errorf("%+v, but %d arrived as delivered", stats, delivered)
	}
	if n := len(s.Gateway("africastalking").Finals()); n != 100 {
		t.Errorf("%d numbers with a final status", n)
	}
}

func TestReports_MistakesAreNamed(t *testing.T) {
	t.Parallel()
	s, address := simulatortest.Start(t, simulator.Options{}, map[string]simulator.NewVendor{"africastalking": africastalkingsim.New})
	for pair, want := range map[string]string{
		"url=nowhere": "url must be", "fail=2": "fail must be from 0 to 1", "fail=x": "fail must be a number", "delay=soon": "delay must be a duration",
	} {
		name, value, _ := strings.Cut(pair, "=")
		status, body := simulatortest.Post(t, address+"/_sandbox/reports", url.Values{"gateway": {"africastalking"}, name: {value}})
		if status != http.StatusBadRequest || !strings.Contains(body, want) {
			t.Errorf("%s: got %d %s, want %s", pair, status, body, want)
		}
	}
	if status, _ := simulatortest.Post(t, address+"/_sandbox/reports", nil); status != http.StatusBadRequest {
		t.Errorf("without a gateway: got %d", status)
	}
	if err := (simulator.Reports{Delay: -1}).Check(); err == nil {
		t.Error("a negative delay is taken")
	}
	_ = s
}
