package script

import "testing"

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
