package queue

import (
	"testing"
	"time"
)

// After a server has taken a task, the gate checks more often. The more queues the gate has, the less often it
// checks, because each check may make every server try its queue.
func TestGate_PeriodAfterATask(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		queues int
		taken  time.Duration // ago
		want   time.Duration
	}{
		"idle":         {4, time.Hour, 50 * time.Millisecond},
		"a task now":   {4, 0, 10 * time.Millisecond},
		"some queues":  {12, 0, 24 * time.Millisecond},
		"many queues":  {100, 0, 50 * time.Millisecond},
		"a while ago":  {4, busyFor + time.Second, 50 * time.Millisecond},
		"just in time": {4, busyFor - time.Second, 10 * time.Millisecond},
	} {
		g := &Gate{every: 50 * time.Millisecond, keys: make([]string, tc.queues), taken: time.Now().Add(-tc.taken)}
		if got := g.period(); got != tc.want {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		}
	}
}
