package sweep

import "testing"

func TestProbeTurns_EveryBatchGetsATurn(t *testing.T) {
	t.Parallel()
	p := &probeTurns{tried: map[string]bool{}}
	got := map[string]int{}
	for range 40 {
		p.newSweep()
		for _, work := range []string{"a", "b", "c"} {
			if p.next(work) {
				got[work]++
			}
		}
	}
	if len(got) != 3 || min(got["a"], got["b"], got["c"]) < 9 || got["a"]+got["b"]+got["c"] > 40 {
		t.Errorf("got probes %v, want at least 9 for each of a, b and c, and at most 40 in all", got)
	}
}
