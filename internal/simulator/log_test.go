package simulator_test

import (
	"testing"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/internal/simulator/simulatortest"
)

func TestLog_HasTheFirstAcceptedCalls(t *testing.T) {
	t.Parallel()
	s, address := start(t, simulator.Options{Log: 2})
	for i := range 3 {
		simulatortest.Post(t, address+"/kobo/api/send/", call(i+1, ada, obi))
		simulatortest.Post(t, address+"/kobo/api/send/", call(i+1, ada, obi)) // a repeat is not logged again
	}
	log := s.Log()
	if len(log) != 2 || log[0].Gateway != "kobo" || log[0].From != "Testing" || log[0].Messages != 2 || log[1].At.Before(log[0].At) {
		t.Errorf("got log %+v, want the first two calls", log)
	}
	s.Reset()
	if log := s.Log(); len(log) != 0 {
		t.Errorf("after a reset: got log %+v, want none", log)
	}
}
