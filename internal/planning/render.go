package planning

import (
	"bytes"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/sms"
)

// renderer renders a campaign's template. It is not safe for concurrent use.
type renderer struct {
	template      *sms.Template
	fieldIndex    map[string]int // maps the name of a field to its index in values
	allowMissing  bool           // whether a field without a value is left empty
	transliterate bool           // whether the rendered body is transliterated
	first         string         // the name of the campaign's first field
	values        []string
	lookup        func(string) string
	buf           []byte
}

func newRenderer(spec campaign.Spec) (*renderer, error) {
	t, err := sms.ParseTemplate(spec.Body)
	if err != nil {
		return nil, err
	}
	r := &renderer{template: t, fieldIndex: map[string]int{}, allowMissing: spec.OnMissing == campaign.MissingDefault, transliterate: spec.Transliterate, first: spec.Fields[0]}
	for i, f := range spec.Fields {
		r.fieldIndex[f] = i
	}
	r.lookup = func(field string) string {
		if i, ok := r.fieldIndex[field]; ok && i < len(r.values) {
			return r.values[i]
		}
		return ""
	}
	return r, nil
}

// render returns the body for the values of one recipient. If the recipient has to be skipped,
// render returns the reason instead.
func (r *renderer) render(values []string) (body, reason, code string) {
	if values == nil {
		return "", campaign.ReasonBodyTooLong, ""
	}
	r.values = values
	var missing string
	r.buf, missing = r.template.Render(r.buf[:0], r.lookup)
	switch {
	case len(r.buf) > sms.MaxRendered:
		return "", campaign.ReasonBodyTooLong, ""
	case missing != "" && !r.allowMissing:
		return "", campaign.ReasonMissingField, missing
	case len(bytes.TrimSpace(r.buf)) == 0:
		return "", campaign.ReasonMissingField, r.first
	}
	body = string(r.buf)
	if r.transliterate {
		body, _ = sms.Transliterate(body)
	}
	return body, "", ""
}
