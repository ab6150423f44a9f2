package simulator

import (
	"fmt"
	"hash/fnv"
	"strconv"
	"time"
)

// Deliveries decides how a gateway answers a request for the delivery report of a message. With the
// zero value, each message is delivered at once. The answer about a message depends only on the seed,
// on the message's ID and on its age, so a run can be repeated.
type Deliveries struct {
	// Delay is the average time from the acceptance to the final status. The delay of a message is between 0
	// and twice the average.
	Delay time.Duration
	// Fail is the share of messages that are not delivered. Lost is the share of messages that get no final
	// status. Both shares are from 0 to 1.
	Fail, Lost float64
}

// Delivery is the delivery state of a message at the gateway.
type Delivery struct {
	// Final is true if the message has its final status. Delivered is true if that status is "delivered".
	Final, Delivered bool
	// Reason is a number from 0 to 999 that chooses the reason why a message was not delivered.
	Reason int
	// After is the time from the acceptance to the final status.
	After time.Duration
}

// Of returns the delivery state of a message. The parameter "age" is the time since the gateway accepted the
// message.
func (d Deliveries) Of(seed uint64, id string, age time.Duration) Delivery {
	after := time.Duration(2 * chance(seed, id, "delay") * float64(d.Delay))
	if age < after || chance(seed, id, "lost") < d.Lost {
		return Delivery{}
	}
	if chance(seed, id, "fail") < d.Fail {
		return Delivery{Final: true, Reason: int(chance(seed, id, "reason") * 1000), After: after}
	}
	return Delivery{Final: true, Delivered: true, After: after}
}

// SetOption sets an option: report_delay (a duration such as 10s), report_fail or report_lost (a share from
// 0 to 1). The result "known" is false for any other name.
func (d *Deliveries) SetOption(name, value string) (known bool, err error) {
	share := &d.Fail
	switch name {
	case "report_delay":
		delay, err := time.ParseDuration(value)
		if err != nil || delay < 0 {
			return true, fmt.Errorf("report_delay: %q must be a duration such as 10s", value)
		}
		d.Delay = delay
		return true, nil
	case "report_lost":
		share = &d.Lost
	case "report_fail":
	default:
		return false, nil
	}
	f, err := strconv.ParseFloat(value, 64)
	if err != nil || !(f >= 0 && f <= 1) {
		return true, fmt.Errorf("%s: %q must be a number from 0 to 1", name, value)
	}
	*share = f
	return true, nil
}

// chance returns a number from 0 up to 1 that depends on the seed, the message ID and the parameter "question". The
// question names what the number decides, such as "lost".
func chance(seed uint64, id, question string) float64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(id + "\x00" + question)) // never fails
	return float64(Mix(h.Sum64()^seed)>>11) / (1 << 53)
}
