package worker_test

import (
	"strings"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/producer"
)

func TestCap_CampaignEndsAtItsCap(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{})
	r.start(r.account())
	long := strings.Repeat("x", 161) // two segments
	for id, tt := range map[string]struct {
		body               string
		messages, segments int
		want               int
	}{
		"messages":                       {long, 70, 0, 70},
		"segments":                       {long, 0, 141, 70},
		"segments, one for each message": {"x", 0, 90, 90},
		"the lower of both, messages":    {long, 30, 100, 30},
		"the lower of both, segments":    {long, 60, 100, 50},
		"neither is reached":             {long, 100, 200, 100},
	} {
		id = strings.NewReplacer(" ", "-", ",", "").Replace(id)
		_, err := r.producer.Enqueue(t.Context(), producer.Campaign{ID: id, Via: "kobo-main", Body: tt.body, MaxMessages: tt.messages, MaxSegments: tt.segments},
			producer.Numbers(kenyanNumbers(100)...))
		if err != nil {
			t.Fatal(err)
		}
		if s := r.wait(id, 20*time.Second); s.State != producer.Done || s.Accepted != tt.want || s.Reasons["over_cap"] != 100-tt.want {
			t.Errorf("campaign %s: unexpected status: %+v", id, s)
		}
	}
}
