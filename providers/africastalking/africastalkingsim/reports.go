package africastalkingsim

import (
	"net/url"
	"strconv"

	"github.com/tuma-sms/tuma/internal/simulator"
)

// failures lists the final statuses of undelivered messages, each with its failureReason.
var failures = [][2]string{{"Failed", "DeliveryFailure"}, {"AbsentSubscriber", "AbsentSubscriber"}, {"Expired", "NoResponse"}, {"Rejected", "UserInBlackList"}}

// ReportForm implements simulator.Reporter. It returns the form of a delivery report.
func (a *Simulator) ReportForm(m simulator.ReportedMessage, word string) url.Values {
	form := url.Values{"id": {m.ID}, "phoneNumber": {"+" + strconv.FormatUint(m.Number, 10)}, "networkCode": {"63902"}, "retryCount": {"0"}}
	switch word {
	case "":
		form.Set("status", "Success")
	case "sent":
		form.Set("status", "Sent")
	default:
		n, _ := strconv.Atoi(word)
		failure := failures[n%len(failures)]
		form.Set("status", failure[0])
		form.Set("failureReason", failure[1])
	}
	return form
}
