package api

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/tuma-sms/tuma/internal/console"
	"github.com/tuma-sms/tuma/internal/keys"
	"github.com/tuma-sms/tuma/producer"
)

// usageInput selects months and rows. An empty field selects all months or all rows.
type usageInput struct {
	From    string `query:"from" pattern:"^(20[0-9]{2}-(0[1-9]|1[0-2]))?$" example:"2025-10" doc:"First month. Default: the month in \"to\"."`
	To      string `query:"to" pattern:"^(20[0-9]{2}-(0[1-9]|1[0-2]))?$" example:"2025-11" doc:"Last month. Default: the current month."`
	Account string `query:"account" maxLength:"64" doc:"Only this account."`
	Sender  string `query:"sender" maxLength:"64" doc:"Only this sender ID."`
	Key     string `query:"key" maxLength:"64" doc:"Only the key with this ID or name."`
	Accept  string `header:"Accept" doc:"application/json (default) or text/csv."`
}

// usageBody is the answer in JSON.
type usageBody struct {
	Usage []producer.Usage `json:"usage"`
}

func (a *API) addUsage() {
	op := operation("get-usage", http.MethodGet, "/v1/usage", "Messages, segments and cost by month, account, sender ID and key", keys.ScopeRead,
		describe("Sums up the messages that gateways have accepted, including those of deleted campaigns. Tuma keeps the current month and the two years before it. "+
			"The field 'cost' is the price that the gateway has named. If the gateway names no price, the field 'estimate' is the number of segments times the present price of the account."))
	op.Responses = map[string]*huma.Response{"200": {Description: "Usage", Content: map[string]*huma.MediaType{
		"application/json": {Schema: huma.SchemaFromType(a.huma.OpenAPI().Components.Schemas, typeOf[usageBody]())}, "text/csv": {Schema: &huma.Schema{Type: huma.TypeString}}}}}
	huma.Register(a.huma, op, a.usage)
}

func (in *usageInput) wants(u producer.Usage) bool {
	return (in.Account == "" || u.Account == in.Account) && (in.Sender == "" || u.Sender == in.Sender) && (in.Key == "" || u.Key == in.Key || u.KeyID == in.Key)
}

// monthOf parses a month such as 2025-11; an empty text is the zero time.
func monthOf(field, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	at, err := time.Parse("2006-01", text)
	if err != nil {
		return at, &producer.FieldError{Field: field, Problem: "must be a month such as 2025-11"}
	}
	return at, nil
}

func (a *API) usage(ctx context.Context, in *usageInput) (*huma.StreamResponse, error) {
	first, err := monthOf("from", in.From)
	if err != nil {
		return nil, a.problem(err)
	}
	last, err := monthOf("to", in.To)
	if err != nil {
		return nil, a.problem(err)
	}
	all, err := a.Client.Usage(ctx, first, last)
	if err != nil {
		return nil, a.problem(err)
	}
	rows := []producer.Usage{}
	for _, u := range all {
		if in.wants(u) {
			rows = append(rows, u)
		}
	}
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		_, w := humago.Unwrap(hc)
		if !strings.Contains(in.Accept, "text/csv") {
			hc.SetHeader("Content-Type", "application/json")
			hc.SetStatus(http.StatusOK)
			if err := writeJSON(w, usageBody{rows}); err != nil {
				a.Logger.Debug().Err(err).Msg("the usage was not sent completely")
			}
			return
		}
		hc.SetHeader("Content-Type", "text/csv; charset=utf-8")
		hc.SetStatus(http.StatusOK)
		if err := writeUsage(console.NewCSVSheet(w), rows); err != nil {
			a.Logger.Debug().Err(err).Msg("the usage was not sent completely")
		}
	}}, nil
}

// writeUsage writes a row for each part of the usage, after a header.
func writeUsage(w *console.CSVSheet, rows []producer.Usage) error {
	if err := w.Row("month", "account", "sender", "key", "key_id", "messages", "segments", "cost", "currency", "estimate"); err != nil {
		return err
	}
	for _, u := range rows {
		if err := w.Row(u.Month, u.Account, u.Sender, u.Key, u.KeyID, strconv.Itoa(u.Messages), strconv.Itoa(u.Segments), u.Cost, u.Currency, u.Estimate); err != nil {
			return err
		}
	}
	return w.Flush()
}
