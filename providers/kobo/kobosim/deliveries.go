package kobosim

import (
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tuma-sms/tuma/internal/simulator"
)

// failures are delivery states of messages that were not delivered. KoboMobile's page lists no states. These states are
// from the product that KoboMobile sells under its own name, as in providers/kobo.
var failures = []string{"UNDELIV err:0dc", "EXPIRED err:015", "REJECTD err:00b", "DELETED"}

// deliveryState returns the delivery state of a message whose ID is known. The caller holds the
// server's lock.
func (k *Simulator) deliveryState(id string) string {
	var at time.Time // zero for the example messages of the vendor's page: they are old
	if seq, _, ok := k.ids.Parse(id); ok && !slices.Contains(pageIDs, id) {
		at = k.acceptedCalls[seq].at
	}
	switch d := k.deliveries.Of(k.state.Seed(), id, time.Since(at)); {
	case d.Delivered:
		return k.report
	case d.Final:
		return failures[d.Reason%len(failures)]
	default:
		return "ENROUTE"
	}
}

// The method "reported" returns the messages of an accepted call that named a callback URL. The caller must
// not hold the server's lock.
func (k *Simulator) reported(call *acceptedCall, to string) []simulator.ReportedMessage {
	out := make([]simulator.ReportedMessage, len(call.numbers))
	for i, n := range call.numbers {
		out[i] = simulator.ReportedMessage{ID: string(k.ids.Append(nil, call.seq, uint64(i))), Number: n, URL: to}
	}
	return out
}

// ReportForm implements simulator.Reporter. It returns the form of a delivery report. The form has the fields of
// the product that KoboMobile sells under its own name. A final status in the form equals the status that KoboMobile
// returns to a request for the delivery status.
func (k *Simulator) ReportForm(m simulator.ReportedMessage, word string) url.Values {
	k.state.Lock()
	defer k.state.Unlock()
	status, code := "ENROUTE", "000"
	if word != "sent" {
		switch d := k.deliveries.Of(k.state.Seed(), m.ID, math.MaxInt64); {
		case d.Delivered:
			status = k.report
		case d.Final:
			status, code, _ = strings.Cut(failures[d.Reason%len(failures)], " err:")
		}
	}
	return url.Values{"status": {status}, "msg_id": {m.ID}, "timestamp": {time.Now().UTC().Format(time.DateTime)}, "cost": {"0.80"},
		"pg_length": {"1"}, "str_length": {strconv.Itoa(len(m.ID))}, "desc": {"Message " + status}, "dlr_code": {code}}
}
