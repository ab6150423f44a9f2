package redisguard

import (
	"testing"
	"time"
)

func TestPeerLimit_IsTheLongestCallOfAllWorkers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ own, peers, want time.Duration }{
		{10 * time.Second, time.Minute, 75 * time.Second},
		{time.Minute, 10 * time.Second, 75 * time.Second},
		{10 * time.Second, 20 * time.Minute, 20*time.Minute + 15*time.Second},
		{10 * time.Second, 0, 5 * time.Minute},
		{10 * time.Minute, 0, 10*time.Minute + 15*time.Second},
	} {
		if got := peerLimit(tt.own, tt.peers); got != tt.want {
			t.Errorf("own calls of %s, peers' of %s: got %s, want %s", tt.own, tt.peers, got, tt.want)
		}
	}
}
