package sms_test

import (
	"testing"

	"github.com/tuma-sms/tuma/sms"
)

func TestHasMergeFields(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]bool{
		"Hi {{name}}, 20% off":  true,
		"{{ name }}":            true,
		"{{First Name}}":        true,
		"{{name|there}}":        true,
		"{{jina la mteja}}":     true,
		"{{{name}}}":            true,
		"{{ {{name}}":           true,
		"{{}} and {{x}}":        true,
		"{{ line\nend }} {{x}}": true,
		"":                      false,
		"Hi Jane":               false,
		"{name}":                false,
		"{{name}":               false,
		"{{name":                false,
		"name}}":                false,
		"{ {name} }":            false,
		"{{}}":                  false,
		"{{ }}":                 false,
		"{{one\ntwo}}":          false,
		"}}{{":                  false,
		"{{a} }":                false,
	} {
		if got := sms.HasMergeFields(body); got != want {
			t.Errorf("HasMergeFields(%q) = %v; want %v", body, got, want)
		}
	}
}
