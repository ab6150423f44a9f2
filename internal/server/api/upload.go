package api

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"mime"
	"mime/multipart"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/tuma-sms/tuma/internal/keys"
	"github.com/tuma-sms/tuma/internal/recipients"
	"github.com/tuma-sms/tuma/internal/tracing"
	"github.com/tuma-sms/tuma/producer"
)

// Errors of uploads.
var (
	errUploads  = errors.New("too many lists are being uploaded at the moment: try again later")
	errTooLarge = errors.New("the body is too large")
	errTooSlow  = errors.New("the body came too slowly")
	errMedia    = errors.New("the body must be application/json, text/csv, application/x-ndjson or multipart/form-data")
)

// uploadInput is the request that creates a campaign. If the body is a list of recipients, the fields of the
// campaign are in the query.
type uploadInput struct {
	Traceparent   string        `header:"traceparent" doc:"W3C trace context: the spans of this request join the caller's trace."`
	Key           string        `header:"Idempotency-Key" maxLength:"128" doc:"ID of the campaign. A repeated request changes nothing."`
	ContentType   string        `header:"Content-Type"`
	Encoding      string        `header:"Content-Encoding" doc:"gzip, or none."`
	DryRun        bool          `query:"dry_run" doc:"Answer with a forecast, and enqueue nothing."`
	ID            string        `query:"id" maxLength:"128"`
	Text          string        `query:"body" maxLength:"16384" doc:"Text of the campaign."`
	From          string        `query:"from" maxLength:"64"`
	Via           string        `query:"via" maxLength:"64"`
	Class         string        `query:"class"`
	Country       string        `query:"country" maxLength:"2"`
	OnMissing     string        `query:"on_missing"`
	Duplicates    string        `query:"duplicates"`
	OnUnknown     string        `query:"on_unknown"`
	Transliterate bool          `query:"transliterate"`
	StartAt       time.Time     `query:"start_at"`
	ExpiresAt     time.Time     `query:"expires_at"`
	ExpiresIn     secondsOfTime `query:"expires_in" minimum:"0" maximum:"31536000"`
	Column        string        `query:"column" doc:"Name of the column with the numbers, if it is not one of the usual names."`
	StatusEvents  bool          `query:"status_events"`
	RefColumn     string        `query:"ref_column" maxLength:"256" doc:"Name of the column with your own references."`
	raw           io.Reader
}

// Resolve takes the body of the request before huma reads it.
func (in *uploadInput) Resolve(ctx huma.Context) []error {
	r, w := humago.Unwrap(ctx)
	in.raw = &pacedReader{body: http.MaxBytesReader(w, r.Body, recipients.MaxBytes+maxJSON), deadlines: http.NewResponseController(w), timeout: ctx.Operation().BodyReadTimeout,
		begun: time.Now()}
	return nil
}

// pacedReader reads a body of any length, as long as the client sends it fast enough.
type pacedReader struct {
	body      io.Reader
	deadlines *http.ResponseController
	timeout   time.Duration // the longest time in which no byte arrives
	begun     time.Time
	read      int64
}

// leastRate is the minimum average rate of a body, in bytes a second. It applies after half of the timeout
// has passed.
const leastRate = 2 << 10

func (p *pacedReader) Read(b []byte) (int, error) {
	now := time.Now()
	if took := now.Sub(p.begun); took > p.timeout/2 && float64(p.read) < leastRate*took.Seconds() {
		return 0, errTooSlow
	}
	_ = p.deadlines.SetReadDeadline(now.Add(p.timeout)) // this fails for the httptest.ResponseRecorder of a test
	n, err := p.body.Read(b)
	p.read += int64(n)
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		err = errTooLarge
	case errors.Is(err, os.ErrDeadlineExceeded):
		err = errTooSlow
	case err != nil:
		// Reading has ended. The answer must be written within uploadTimeout.
		_ = p.deadlines.SetWriteDeadline(time.Now().Add(uploadTimeout))
	}
	return n, err
}

// uploadTimeout is the time limit for enqueueing a list after it was read.
const uploadTimeout = 10 * time.Minute

type uploadOutput struct {
	Status   int
	Location string `header:"Location"`
	Repeated string `header:"Tuma-Repeated" doc:"true if the campaign existed already."`
	// Body is a producer.Receipt or, with dry_run, a producer.Forecast.
	Body any
}

func (a *API) addUpload() {
	schema := a.huma.OpenAPI().Components.Schemas
	op := operation("create-campaign", http.MethodPost, "/v1/campaigns", "Send to a list of recipients", keys.ScopeSend, status(http.StatusAccepted),
		describe("Enqueues a campaign. The body is JSON with up to 10,000 recipients, or a list of any length: text/csv or application/x-ndjson with the campaign in the query, or multipart/form-data with a part `campaign` (JSON) and then a part `file`. "+
			"A second request with the same ID and content gets status 200 and the first receipt. A request with the same ID and other content gets status 422."))
	type jsonCampaign struct {
		CampaignBody
		Recipients []recipientBody `json:"recipients" maxItems:"10000"`
	}
	text := func() *huma.MediaType { return &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString}} }
	op.Errors = append(op.Errors, http.StatusRequestTimeout)
	huma.Register(a.huma, op, a.createCampaign)
	// The OpenAPI document gets the description of the request body only after the registration of the operation.
	// If the description existed before, huma would read the body of each request itself.
	a.huma.OpenAPI().Paths[op.Path].Post.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{
		"application/json": {Schema: huma.SchemaFromType(schema, typeOf[jsonCampaign]())}, "text/csv": text(), "application/x-ndjson": text(),
		"multipart/form-data": {Schema: &huma.Schema{Type: huma.TypeObject, Properties: map[string]*huma.Schema{
			"campaign": huma.SchemaFromType(schema, typeOf[CampaignBody]()), "file": {Type: huma.TypeString, Format: "binary"}}}},
	}}
}

func (a *API) createCampaign(ctx context.Context, in *uploadInput) (*uploadOutput, error) {
	select {
	case a.uploads <- struct{}{}:
		defer func() { <-a.uploads }()
	default:
		return nil, a.problem(errUploads)
	}
	body, list, end, err := in.read()
	if err != nil {
		return nil, a.problem(err)
	}
	defer end()
	key := keyOf(ctx)
	id, err := idOf(in.Key, body.ID)
	if err != nil {
		return nil, a.problem(err)
	}
	if err := key.MaySend(body.Via, body.From); err != nil {
		return nil, a.problem(fmt.Errorf("%w: %w", errForbidden, err))
	}
	c := body.campaign(id, keys.CreatedBy(key))
	if in.DryRun {
		f, err := a.Client.Preview(ctx, c, list, producer.PreviewOptions{})
		if err != nil {
			return nil, a.problem(err)
		}
		return &uploadOutput{Status: http.StatusOK, Body: f}, nil
	}
	if id == "" {
		return nil, a.problem(&producer.FieldError{Field: "id", Problem: "is missing: set it, or the header Idempotency-Key, so that a repeated request does not send the messages again"})
	}
	taken := 0
	ctx, traced := a.traceEnqueue(ctx, in.Traceparent)
	r, err := a.Client.Enqueue(ctx, c, a.counted(ctx, key, id, list, &taken))
	tracing.EndEnqueue(traced, r.Total, r.Again, err)
	a.giveBack(ctx, key, taken, r.Again, err)
	if err != nil {
		return nil, a.problem(err)
	}
	out := &uploadOutput{Status: http.StatusAccepted, Location: "/v1/campaigns/" + r.ID, Body: r}
	if r.Again {
		out.Status, out.Repeated = http.StatusOK, "true"
	} else {
		a.record(ctx, "campaign.create", r.ID, fmt.Sprintf("%d recipients", r.Total))
	}
	return out, nil
}

// The method "counted" yields the recipients of a list. It counts them against the daily limit of the key before the
// campaign is committed.
func (a *API) counted(ctx context.Context, key keys.Key, id string, list iter.Seq2[producer.Recipient, error], taken *int) iter.Seq2[producer.Recipient, error] {
	return func(yield func(producer.Recipient, error) bool) {
		n := 0
		for r, err := range list {
			if n++; !yield(r, err) || err != nil {
				return
			}
		}
		var err error
		if *taken, err = a.take(ctx, key, id, n); err != nil {
			yield(producer.Recipient{}, err)
		}
	}
}

// The method "read" reads the body: the campaign and its recipients. The caller must call the result "end" after it
// has used the recipients.
func (in *uploadInput) read() (body CampaignBody, list iter.Seq2[producer.Recipient, error], end func(), err error) {
	end = func() {}
	media, parameters, err := mime.ParseMediaType(in.ContentType)
	if err != nil {
		return body, nil, end, errMedia
	}
	src := in.raw
	switch in.Encoding {
	case "", "identity":
	case "gzip":
		unzipped, err := gzip.NewReader(src)
		if err != nil {
			return body, nil, end, &producer.FieldError{Field: "body", Problem: "is not gzip, although its Content-Encoding is gzip"}
		}
		src = io.LimitReader(unzipped, recipients.MaxBytes+1)
	default:
		return body, nil, end, errMedia
	}
	switch media {
	case "application/json":
		return readJSON(src)
	case "text/csv", "application/x-ndjson", "text/plain":
		body = CampaignBody{ID: in.ID, Body: in.Text, From: in.From, Via: in.Via, Class: in.Class, Country: in.Country, OnMissing: in.OnMissing, Duplicates: in.Duplicates,
			OnUnknown: in.OnUnknown, Transliterate: in.Transliterate, StartAt: in.StartAt, ExpiresAt: in.ExpiresAt, ExpiresIn: in.ExpiresIn, StatusEvents: in.StatusEvents}
		list, end, err = in.spool(src, formatOf(media), body.Body)
		return body, list, end, err
	case "multipart/form-data":
		return in.readParts(multipart.NewReader(src, parameters["boundary"]))
	}
	return body, nil, end, errMedia
}

// bodyError returns errTooLarge and errTooSlow unchanged. For any other error of reading the body, it returns
// errDamaged, because the caller has then sent a wrong body.
func bodyError(err error) error {
	if errors.Is(err, errTooLarge) || errors.Is(err, errTooSlow) {
		return err
	}
	return errDamaged
}

// errDamaged means that the body cannot be read, because the caller has written it wrongly.
var errDamaged = &producer.FieldError{Field: "body", Problem: "is damaged, or ends too early"}

// formatOf returns the format of a list by its media type.
func formatOf(media string) recipients.Format {
	switch media {
	case "text/csv":
		return recipients.CSV
	case "application/x-ndjson":
		return recipients.JSONL
	}
	return recipients.Auto
}

// readJSON reads a campaign with its recipients.
func readJSON(src io.Reader) (body CampaignBody, list iter.Seq2[producer.Recipient, error], end func(), err error) {
	end = func() {}
	text, err := io.ReadAll(io.LimitReader(src, maxJSON+1))
	if err != nil {
		return body, nil, end, bodyError(err)
	}
	if len(text) > maxJSON {
		return body, nil, end, errTooLarge
	}
	var all struct {
		CampaignBody
		Recipients []recipientBody `json:"recipients"`
	}
	if err := decode(text, &all); err != nil {
		return body, nil, end, err
	}
	if len(all.Recipients) > maxRecipients {
		return body, nil, end, &producer.FieldError{Field: "recipients", Problem: fmt.Sprintf("has %d entries; the maximum is %d: upload a longer list as text/csv or application/x-ndjson", len(all.Recipients), maxRecipients)}
	}
	list = func(yield func(producer.Recipient, error) bool) {
		for _, r := range all.Recipients {
			if !yield(producer.Recipient{Number: r.Number, Fields: r.Fields, Ref: r.Ref}, nil) {
				return
			}
		}
	}
	return all.CampaignBody, list, end, nil
}

// decode reads JSON into the value "to", and refuses members that this value does not have. The error does not
// contain values from the JSON.
func decode(text []byte, to any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	err := d.Decode(to)
	if err == nil && d.More() {
		err = errors.New("has more than one value")
	}
	if err == nil {
		return nil
	}
	field, problem := "body", "is not valid JSON"
	var wrong *json.UnmarshalTypeError
	switch {
	case errors.As(err, &wrong):
		field, problem = wrong.Field, "must be a "+wrong.Type.String()
	case strings.HasPrefix(err.Error(), "json: unknown field"):
		problem = strings.TrimPrefix(err.Error(), "json: ")
	}
	return &producer.FieldError{Field: field, Problem: problem}
}

// readParts reads a form with a campaign in JSON and then the file of its recipients.
func (in *uploadInput) readParts(form *multipart.Reader) (body CampaignBody, list iter.Seq2[producer.Recipient, error], end func(), err error) {
	end = func() {}
	found := false
	for {
		part, err := form.NextPart()
		if errors.Is(err, io.EOF) {
			return body, nil, end, &producer.FieldError{Field: "file", Problem: `is missing: the form needs a part "campaign" and then a part "file"`}
		}
		if err != nil {
			return body, nil, end, bodyError(err)
		}
		switch part.FormName() {
		case "campaign":
			text, err := io.ReadAll(io.LimitReader(part, maxJSON))
			if err != nil {
				return body, nil, end, bodyError(err)
			}
			if err := decode(text, &body); err != nil {
				return body, nil, end, err
			}
			found = true
		case "file":
			if !found {
				return body, nil, end, &producer.FieldError{Field: "campaign", Problem: `must come before the part "file"`}
			}
			list, end, err = in.spool(part, recipients.Auto, body.Body)
			return body, list, end, err
		default:
			return body, nil, end, &producer.FieldError{Field: part.FormName(), Problem: `is not a part of this form, which has the parts "campaign" and "file"`}
		}
	}
}

// spool copies a list to a temporary file without a name, because the list is read more than once. It
// returns the recipients of the list. If the first rows show that the content is not a list, spool returns
// an error.
func (in *uploadInput) spool(src io.Reader, format recipients.Format, text string) (list iter.Seq2[producer.Recipient, error], end func(), err error) {
	end = func() {}
	fields, err := producer.Fields(text)
	if err != nil {
		return nil, end, err
	}
	o := recipients.Options{Name: "body", Format: format, Column: in.Column, RefColumn: in.RefColumn, Fields: fields}
	head := make([]byte, 64<<10)
	n, err := io.ReadFull(src, head)
	whole := err != nil
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, end, bodyError(err)
	}
	check := recipients.Begins
	if whole { // Detect is enough for a short list, because a later read finds all its mistakes
		check = recipients.Detect
	}
	if err := check(head[:n], o); err != nil {
		return nil, end, err
	}
	file, err := os.CreateTemp("", "tuma-upload-*")
	if err != nil {
		return nil, end, fmt.Errorf("keep the list: %w", err)
	}
	_ = os.Remove(file.Name()) // the file's content stays until the file is closed; if the process dies, no phone number stays on the disk
	end = func() { _ = file.Close() }
	begin := bytes.NewReader(head[:n])
	size, err := io.Copy(file, io.MultiReader(begin, src))
	var disk *os.PathError
	if err == nil && size > recipients.MaxBytes {
		err = errTooLarge
	} else if err != nil && !errors.As(err, &disk) {
		err = bodyError(err)
	}
	if err != nil {
		end()
		return nil, func() {}, err
	}
	return recipients.New(file, size, o).All(), end, nil
}
