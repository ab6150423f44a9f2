package script

import (
	"testing"
	"time"
)

func TestParseDurability_RoundTrip(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Durability{"none": {}, "fsync": {Fsync: true}, "replicas:1": {Replicas: 1}, "replicas:16": {Replicas: 16}} {
		if got, err := ParseDurability(text); err != nil || got != want || got.String() != text {
			t.Errorf("%s: parsed as %+v, %v; want the durability it names, with the same text", text, got, err)
		}
	}
	for _, text := range []string{"", "None", "replicas", "replicas:", "replicas:0", "replicas:17", "replicas:-1", "replicas:01", "replicas:+1", "fsync:1"} {
		if got, err := ParseDurability(text); err == nil || got != (Durability{}) {
			t.Errorf("%q: parsed as %+v, %v; want an error", text, got, err)
		}
	}
}

// With "appendfsync everysec" Redis may begin to write a change to the disk up to a second after the change. The
// timeout must be longer than a second, but the answer must arrive before go-redis stops reading.
func TestDurability_WaitsLongerThanRedisMayNeed(t *testing.T) {
	t.Parallel()
	if got := (Durability{Fsync: true}).timeout(); got < 1500*time.Millisecond || got > 2500*time.Millisecond {
		t.Errorf("fsync: waits for %s, want from 1.5 s to 2.5 s", got)
	}
	if got := (Durability{Replicas: 2}).timeout(); got != time.Second {
		t.Errorf("replicas: waits for %s, want 1 s", got)
	}
}
