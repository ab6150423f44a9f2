package connectmedia

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/providers/httpclient"
	"github.com/tuma-sms/tuma/sms"
)

// The vendor has two APIs. An account with a user name and a password uses the API of the vendor's
// page. An account with an API key uses the current API, which that page does not describe.
//
// The facts about the current API come from the vendor's own published clients: connectmedia-php,
// -python, -node and -laravel at github.com/connectmedia-ke, and their tests of 2026. The clients and
// their tests show these facts:
//
//   - the address, and JSON requests with the API key as a bearer token
//   - the numbers separated by commas, and the fields of a schedule
//   - the start and end of a history
//   - the codes 100, 101, 104, 105, 200, 201, 202, 302 and 500
const (
	// CurrentBaseURL is the address of the current API. Earlier releases of the vendor's clients use
	// https://app.connectmedia.co.ke.
	CurrentBaseURL = "https://dashboard.connectmedia.co.ke"
	// CurrentUsualRecipients is the number of recipients in one call of the current API, unless the account
	// sets max_recipients. The vendor publishes no limit; 100 is Tuma's choice.
	CurrentUsualRecipients = 100
	// CurrentMaxRecipients is the largest value of max_recipients for an account of the current API. The vendor
	// publishes no limit; 1,000 is Tuma's choice.
	CurrentMaxRecipients = 1000

	currentPath = "/api.php"
)

// The type "ask" is a request of the current API. Fields that an action does not use are left out.
type ask struct {
	Action           string `json:"action"`
	To               string `json:"to,omitempty"`
	Message          string `json:"message,omitempty"`
	Sender           string `json:"sender,omitempty"`
	Schedule         int    `json:"schedule,omitempty"` // 1 if ScheduleDatetime is set
	ScheduleDatetime string `json:"schedule_datetime,omitempty"`
	Limit            int    `json:"limit,omitempty"`
	Offset           *int   `json:"offset,omitempty"`
	StartDate        string `json:"start_date,omitempty"`
	EndDate          string `json:"end_date,omitempty"`
}

// currentRequest returns the HTTP request for a request of the current API. The body must not be reused, because
// the HTTP transport may still read it after the call has returned.
func (p *Provider) currentRequest(op string, a ask) httpclient.Request {
	var body bytes.Buffer
	e := json.NewEncoder(&body)
	e.SetEscapeHTML(false)
	_ = e.Encode(a) // this cannot fail for a struct of texts and numbers
	return httpclient.Request{
		Op: op, Path: currentPath, ContentType: "application/json", Body: bytes.TrimSuffix(body.Bytes(), []byte("\n")),
		Header: http.Header{"Authorization": {"Bearer " + p.key.Reveal()}, "Accept": {"application/json"}},
	}
}

// sendCurrent submits a batch through the current API, once. The gateway sends the messages at
// sendTime, or immediately if sendTime is zero. The message is not URL-encoded. For a batch without a
// sender ID, the gateway uses its default sender ID.
func (p *Provider) sendCurrent(ctx context.Context, b providers.Batch, sendTime time.Time) ([]providers.Result, error) {
	a := ask{Action: actionSend, To: joined(b.To), Message: b.Body, Sender: b.From}
	if !sendTime.IsZero() {
		a.Schedule, a.ScheduleDatetime = 1, sendTime.In(eastAfrica).Format(time.DateTime)
	}
	reply, err := p.client.Do(ctx, p.currentRequest(opSend, a))
	if err != nil {
		return nil, err
	}
	results, verdict := parseCurrentAnswer(reply.Body, b.To)
	return reply.Results(opSend, results, verdict, false)
}

// The function "joined" returns the numbers as text, separated by commas.
func joined(numbers []sms.MSISDN) string {
	list := make([]byte, 0, len(numbers)*len("254712345678,"))
	for i, number := range numbers {
		if i > 0 {
			list = append(list, ',')
		}
		list = number.AppendTo(list)
	}
	return string(list)
}

// currentObject performs a read through the current API and returns the object of the reply. It
// returns an error unless the reply has the given code.
func (p *Provider) currentObject(ctx context.Context, op, code string, a ask) (httpclient.Object, *httpclient.Reply, error) {
	reply, err := p.client.Call(ctx, p.currentRequest(op, a))
	if err != nil {
		return nil, nil, err
	}
	o, _ := httpclient.ReadObject(reply.Body)
	got, _ := o.Text("code")
	if got != code {
		return nil, nil, reply.Refused(op, refusal(got))
	}
	return o, reply, nil
}

// balanceNames are the names under which parseCurrentBalance looks for the balance. The vendor's clients
// return the object "data" without reading it, so these names are assumed.
var balanceNames = []string{"balance", "credit", "credits", "sms_balance", "units"}

// currentBalance reads the balance through the current API.
func (p *Provider) currentBalance(ctx context.Context) (providers.Balance, error) {
	o, reply, err := p.currentObject(ctx, opBalance, codeBalance, ask{Action: actionBalance})
	if err != nil {
		return providers.Balance{}, err
	}
	balance, ok := parseCurrentBalance(o)
	if !ok {
		return providers.Balance{}, reply.NotUnderstood(opBalance)
	}
	return balance, nil
}

// parseCurrentBalance finds the balance in a reply. If the member "data" is an object with one member,
// that member is the balance. In a larger object, the balance is under one of balanceNames. If "data"
// is not an object, its value is the balance. If the reply has no "data", the member "message" is the
// balance, as in the vendor's other API. The result "ok" is false if no amount is found, or if two of
// balanceNames have different amounts.
func parseCurrentBalance(o httpclient.Object) (balance providers.Balance, ok bool) {
	data, has := o.Object("data")
	if !has {
		data = httpclient.Object{"balance": o["message"]}
		if raw := o["data"]; len(raw) > 0 && string(raw) != "null" {
			data["balance"] = raw
		}
	}
	if len(data) == 1 {
		for _, only := range data {
			data = httpclient.Object{"balance": only}
		}
	}
	for _, name := range balanceNames {
		written, _ := data.Text(name)
		amount, currency, isMoney := httpclient.ParseMoney(written)
		number, isAmount := httpclient.ParseAmount(amount)
		switch {
		case !isMoney || !isAmount:
		case ok && number != balance.Amount:
			return providers.Balance{}, false
		default:
			balance.Amount, ok = number, true
			balance.Currency = currency
		}
	}
	if named, _ := data.Text("currency"); ok && len(named) == 3 && strings.ToUpper(named) == named {
		balance.Currency = named
	}
	return balance, ok
}

// checkKey returns an error if the key is empty or cannot be sent as a header. Every call with such a key
// would fail, and its error would not show the reason.
func checkKey(key providers.Secret) error {
	text := key.Reveal()
	if text != strings.TrimSpace(text) || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return providers.Mistake("api_key", "must not hold control characters, and must not begin or end with white space")
	}
	return providers.Missing("api_key", text)
}

// newCurrent returns a Provider for the current API.
func newCurrent(cfg Config) (*Provider, error) {
	client, limit, err := httpclient.OpenUpTo(cfg.Endpoint, CurrentBaseURL, CurrentUsualRecipients, CurrentMaxRecipients, cfg.APIKey)
	if cfg.Username != "" || cfg.Password != "" {
		err = errors.Join(providers.Mistake("api_key", "keep only one login: either api_key, or username and password"), err)
	}
	if err = errors.Join(checkKey(cfg.APIKey), err); err != nil {
		return nil, err
	}
	return &Provider{client: client, key: &cfg.APIKey, info: providers.Info{
		// The login consists only of a key. The fingerprint contains no hash of the key, because an attacker
		// could guess a weak key from its hash.
		Name: Name, Fingerprint: client.Fingerprint(Name, ""), MaxRecipients: limit,
		SenderAlphaMax: MaxSender, SenderDigitsMax: MaxSender, SenderOptional: true,
	}}, nil
}
