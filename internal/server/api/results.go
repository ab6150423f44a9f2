package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/tuma-sms/tuma/internal/console"
	"github.com/tuma-sms/tuma/internal/keys"
	"github.com/tuma-sms/tuma/internal/report"
	"github.com/tuma-sms/tuma/producer"
)

func typeOf[T any]() reflect.Type { return reflect.TypeFor[T]() }

type resultsInput struct {
	ID     string `path:"id" maxLength:"128" example:"sale-2025-11"`
	Status string `query:"status" doc:"Only recipients with these statuses, separated by commas."`
	After  int    `query:"after" minimum:"0" doc:"Only rows after this row. Use it to continue an interrupted read."`
	Accept string `header:"Accept" doc:"text/csv, or application/x-ndjson (default)."`
}

func (a *API) addResults() {
	op := operation("get-results", http.MethodGet, "/v1/campaigns/{id}/results", "One result for every recipient", keys.ScopeRead,
		describe("Streams the results in the order of the upload, as JSON lines or, with Accept: text/csv, as CSV with the columns of `tuma results`."))
	op.Responses = map[string]*huma.Response{"200": {Description: "Results", Content: map[string]*huma.MediaType{
		"application/x-ndjson": {Schema: &huma.Schema{Type: huma.TypeString}}, "text/csv": {Schema: &huma.Schema{Type: huma.TypeString}}}}}
	huma.Register(a.huma, op, a.results)
	huma.Register(a.huma, operation("get-report", http.MethodGet, "/v1/campaigns/{id}/report", "Summary of a campaign", keys.ScopeRead,
		describe("Sums up the results: recipients by status, reason, code, account and country, the cost, and the rate over time. It works while the campaign is being sent, too.")), a.report)
}

// reportBody is a report in JSON, with the fields of `tuma report --json`, except the advice.
type reportBody struct {
	ID        string         `json:"id"`
	State     producer.State `json:"state"`
	Text      string         `json:"body"`
	From      string         `json:"from"`
	Via       string         `json:"via"`
	Class     producer.Class `json:"class"`
	Country   string         `json:"country"`
	CreatedBy string         `json:"created_by"`
	Notes     []string       `json:"notes"`
	CampaignReport
}

// CampaignReport is the summary of the results. It is exported for the package huma, which reads embedded structs.
type CampaignReport = report.Report

type reportOutput struct {
	Body reportBody
}

// The method "report" answers with the summary of a campaign. It reads all results of the campaign, so it serves only a
// few requests at once (maxReports).
func (a *API) report(ctx context.Context, in *idInput) (*reportOutput, error) {
	select {
	case a.reports <- struct{}{}:
		defer func() { <-a.reports }()
	default:
		return nil, a.problem(errReports)
	}
	r, st, err := report.Of(ctx, a.Client, in.ID)
	if err != nil {
		return nil, a.problem(err)
	}
	return &reportOutput{reportBody{ID: st.ID, State: st.State, Text: st.Body, From: st.From, Via: st.Via, Class: st.Class, Country: st.Country, CreatedBy: st.CreatedBy,
		Notes: append([]string{}, st.Notes...), CampaignReport: *r}}, nil
}

// maxReports is the maximum number of reports that one process makes at once.
const maxReports = 4

var errReports = errors.New("too many reports are being made at the moment: try again later")

// resultColumns are the columns of `tuma results`.
var resultColumns = []string{"row", "msisdn", "status", "reason", "account", "message_id", "message_uuid", "code", "segments", "cost", "currency", "updated_at", "input", "ref", "delivered_at"}

func (a *API) results(ctx context.Context, in *resultsInput) (*huma.StreamResponse, error) {
	if _, err := a.Client.Status(ctx, in.ID); err != nil {
		return nil, a.problem(err)
	}
	var statuses []string
	for s := range strings.SplitSeq(in.Status, ",") {
		if s = strings.TrimSpace(s); s != "" {
			statuses = append(statuses, s)
		}
	}
	// Reading the first result finds mistakes in the request before the answer begins.
	for _, err := range a.Client.ResultsAfter(ctx, in.ID, in.After, statuses...) {
		if err != nil {
			return nil, a.problem(err)
		}
		break
	}
	asCSV := strings.Contains(in.Accept, "text/csv")
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		_, w := humago.Unwrap(hc)
		if asCSV {
			hc.SetHeader("Content-Type", "text/csv; charset=utf-8")
		} else {
			hc.SetHeader("Content-Type", "application/x-ndjson")
		}
		hc.SetStatus(http.StatusOK)
		if err := a.stream(hc.Context(), w, in, statuses, asCSV); err != nil {
			a.Logger.Debug().Err(err).Str("campaign", in.ID).Msg("the results were not sent completely")
			panic(http.ErrAbortHandler) // the panic cuts the connection, so that the caller sees that rows are missing
		}
	}}, nil
}

// rowsPerDeadline is the number of rows after which the deadline of the answer is extended.
const rowsPerDeadline = 1000

// stream writes the results.
func (a *API) stream(ctx context.Context, w http.ResponseWriter, in *resultsInput, statuses []string, asCSV bool) error {
	deadlines := http.NewResponseController(w)
	lines, table := json.NewEncoder(w), console.NewCSVSheet(w)
	if asCSV && in.After == 0 {
		if err := table.Row(resultColumns...); err != nil {
			return err
		}
	}
	n := 0
	for r, err := range a.Client.ResultsAfter(ctx, in.ID, in.After, statuses...) {
		if err != nil {
			return err
		}
		if n++; n%rowsPerDeadline == 0 {
			_ = deadlines.SetWriteDeadline(time.Now().Add(answerTimeout)) // the response recorder of a test has no deadlines
		}
		if asCSV {
			err = table.Row(resultRow(r)...)
		} else {
			err = lines.Encode(r)
		}
		if err != nil {
			return err
		}
	}
	return table.Flush()
}

func resultRow(r producer.Result) []string {
	at := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return t.UTC().Format(time.RFC3339)
	}
	return []string{strconv.Itoa(r.Row), r.MSISDN, r.Status, r.Reason, r.Account, r.MessageID, r.MessageUUID, r.Code, strconv.Itoa(r.Segments), r.Cost, r.Currency,
		at(r.UpdatedAt), r.Input, r.Ref, at(r.DeliveredAt)}
}
