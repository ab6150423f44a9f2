package producer_test

import (
	"testing"
	"time"

	"github.com/hibiken/asynq"

	"github.com/tuma-sms/tuma/producer"
)

func TestStatus_NamesAQueueThatAsynqPaused(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		class      producer.Class
		recipients int
		queue      string
		account    string
	}{
		"bulk":             {producer.Marketing, 3, "tuma-send:kobo-main", "kobo-main"},
		"transactional":    {producer.Transactional, 3, "tuma-send-now:kobo-main", "kobo-main"},
		"planned apart":    {producer.Marketing, 501, "tuma-plan", ""},
		"a large campaign": {producer.Marketing, 10_001, "tuma-plan-large", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newTestClient(t)
			b.serve("kobo-main")
			c := validCampaign()
			c.Class = tt.class
			b.enqueue(c, tt.recipients)
			asynqQueues := asynq.NewInspectorFromRedisClient(b.rdb)
			for _, other := range []string{"tuma-send:other", "tuma-send-now:other"} {
				if err := asynqQueues.PauseQueue(other); err != nil {
					t.Fatal(err)
				}
			}
			if s := b.status("c"); len(s.BlockedBy) != 0 {
				t.Errorf("before the pause: blocked by %+v", s.BlockedBy)
			}
			if err := asynqQueues.PauseQueue(tt.queue); err != nil {
				t.Fatal(err)
			}
			s := b.status("c")
			if len(s.BlockedBy) != 1 || s.BlockedBy[0].Reason != "queue_paused" || s.BlockedBy[0].Queue != tt.queue || s.BlockedBy[0].Account != tt.account ||
				s.BlockedBy[0].Since == nil || time.Since(*s.BlockedBy[0].Since) > time.Minute {
				t.Errorf("blocked by %+v, want the paused queue %s, with a recent time", s.BlockedBy, tt.queue)
			}
			if err := asynqQueues.UnpauseQueue(tt.queue); err != nil {
				t.Fatal(err)
			}
			if s := b.status("c"); len(s.BlockedBy) != 0 {
				t.Errorf("after the pause: blocked by %+v", s.BlockedBy)
			}
		})
	}
}
