package africastalkingsim

import (
	"net/http"
	"strconv"

	"github.com/tuma-sms/tuma/internal/simulator"
)

// The method "received" returns the inbox messages with an ID above lastReceivedId, or all messages if the
// request has no lastReceivedId.
func (a *Simulator) received(r *http.Request) simulator.Answer {
	query := r.URL.Query()
	user, wrong := query.Get("username"), missingUser(query.Get("username"))
	after, err := strconv.ParseUint(query.Get("lastReceivedId"), 10, 64)
	if err != nil && query.Has("lastReceivedId") {
		wrong = "The query parameter 'lastReceivedId' was malformed"
	}
	a.state.Lock()
	defer a.state.Unlock()
	if refusal, ok := a.admit(r, user, wrong); !ok {
		return refusal
	}
	messages := []inboxMessage{}
	for _, m := range a.inbox {
		if m.ID > after {
			messages = append(messages, m)
		}
	}
	type data struct {
		XMLName  struct{}       `json:"-" xml:"SMSMessageData"`
		Messages []inboxMessage `json:"Messages" xml:"Messages>Message"`
	}
	d := data{Messages: messages}
	return writeDocument(r, http.StatusOK, "SMSMessageData", d, d)
}

func missingUser(user string) string {
	if user == "" {
		return "Request is missing required query parameter 'username'"
	}
	return ""
}
