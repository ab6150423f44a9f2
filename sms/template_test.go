package sms_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/tuma-sms/tuma/sms"
)

func lookup(values map[string]string) func(string) string {
	return func(field string) string { return values[field] }
}

func TestTemplate_Renders(t *testing.T) {
	t.Parallel()
	jane := map[string]string{
		"name": "Jane", "firstname": " JANE wanjiru\u00a0", "town": "nairobi west", "amount": "1,500.00", "blank": " \u00a0\u200b\t",
		"na": "#N/A", "trap": "{{name}} {{{{", "lines": "Moi\u00a0Avenue\r\n  14", "clan": "ng'ang'a mary-ann", "accent": "Rene\u0301e",
		"thumb": "ok👍🏾!", "hash": "#1",
		"big": "999999.99", "small": "0.15", "minus": "-1234.5", "percent": "15%", "tiny": "-0.04",
		"iso": "2026-12-09", "slash": "9/12/2026", "us": "12/25/2026", "word": "9-dec-2026", "stamp": "2026-12-09T08:30:00Z",
		"evening": "9 Dec 2026 20:15", "nodate": "31/02/2026",
	}
	tests := []struct{ name, body, want, missing string }{
		{"no field", "We open at 9.", "We open at 9.", ""},
		{"empty", "", "", ""},
		{"one field", "Hi {{name}}!", "Hi Jane!", ""},
		{"field alone", "{{name}}", "Jane", ""},
		{"spaces and capitals", "Hi {{ First Name }}, {{FIRST_NAME}} {{first-name}}", "Hi JANE wanjiru, JANE wanjiru JANE wanjiru", ""},
		{"a default that is not needed", "Hi {{name|there}}", "Hi Jane", ""},
		{"a default", "Hi {{blank|there}}", "Hi there", ""},
		{"a default with spaces", "Hi {{ blank | dear customer }},", "Hi dear customer,", ""},
		{"an empty default", "Hi{{blank|}}!", "Hi!", ""},
		{"no value", "Hi {{blank}} {{other}}!", "Hi  !", "blank"},
		{"no such value", "{{name|x}}{{gone|y}}{{gone}}", "Janey", "gone"},
		{"a spreadsheet error counts as blank", "Hi {{na|there}}", "Hi there", ""},
		{"a number sign is a value", "Queue {{hash}}", "Queue #1", ""},
		{"filters", "{{name:upper}} {{name:lower}} {{first name:title}}", "JANE jane Jane Wanjiru", ""},
		{"filters one after the other", "{{ First Name : first : Title | there }}", "Jane", ""},
		{"a filter leaves the default alone", "{{blank:upper|there}}", "there", ""},
		{"names with apostrophes and dashes", "{{clan:title}}", "Ng'ang'a Mary-Ann", ""},
		{"a maximum number of characters", "{{town:max:9}}|{{town:max:8}}|{{town:max:99}}", "nairobi w|nairobi|nairobi west", ""},
		{"an accent stays with its letter", "{{accent:max:4}}", "Ren", ""},
		{"an emoji keeps its colour", "{{thumb:max:3}}", "ok", ""},
		{"one space for many", "{{lines:trim}}", "Moi Avenue 14", ""},
		{"thousands", "{{big:number}} {{big:number:0}} {{big:number:3}}", "999,999.99 1,000,000 999,999.990", ""},
		{"thousands are there already", "{{amount:number}} {{amount:number:0}}", "1,500.00 1,500", ""},
		{"small, negative and percent", "{{small:number}} {{small:number:1}} {{minus:number:2}} {{percent:number:1}}", "0.15 0.2 -1,234.50 15.0%", ""},
		{"no minus before a rounded zero", "{{tiny:number:1}}", "0.0", ""},
		{"number leaves other values alone", "{{name:number}} {{iso:number}} {{hash:number:2}}", "Jane 2026-12-09 #1", ""},
		{"dates", "{{iso:date}} {{iso:date:long}} {{iso:date:short}} {{iso:date:iso}} {{iso:date:day}}", "9 Dec 2026 9 December 2026 09/12/2026 2026-12-09 Wed 9 Dec", ""},
		{"dates as people write them", "{{slash:date}} {{us:date}} {{word:date}} {{stamp:date}} {{evening:date}}", "9 Dec 2026 25 Dec 2026 9 Dec 2026 9 Dec 2026 9 Dec 2026", ""},
		{"a date and another filter", "{{iso:date:upper}} {{iso:date:long:max:5}}", "9 DEC 2026 9 Dec", ""},
		{"date leaves other values alone", "{{name:date}} {{small:date}} {{nodate:date}}", "Jane 0.15 31/02/2026", ""},
		{"a value is not parsed as a template", "{{trap}}", "{{name}} {{{{", ""},

		{"four braces", "{{{{name}} {{name}}", "{{name}} Jane", ""},
		{"four braces and no field", "a {{{{ b", "a {{ b", ""},
		{"eight braces", "{{{{{{{{", "{{{{", ""},
		{"six braces", "{{{{{{name}}}}", "{{Jane}}", ""},
		{"three braces", "{{{name}}}", "{Jane}", ""},
		{"JSON", `{"a":{"b":1},"c":{}}`, `{"a":{"b":1},"c":{}}`, ""},
		{"JSON with a field", `{"a":{"b":"{{name}}"}}`, `{"a":{"b":"Jane"}}`, ""},
		{"closing braces are text", "}} a }", "}} a }", ""},
		{"one brace is text", "{name} { {name} }", "{name} { {name} }", ""},
		{"curly quotes", "“{{name}}”’s", "“Jane”’s", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tmpl, err := sms.ParseTemplate(tt.body)
			if err != nil {
				t.Fatal(err)
			}
			got, missing := tmpl.Render([]byte("> "), lookup(jane))
			if string(got) != "> "+tt.want || missing != tt.missing {
				t.Errorf("%q renders as %q, missing %q; want %q, missing %q", tt.body, got, missing, "> "+tt.want, tt.missing)
			}
			if plain := tt.body == tt.want && len(tmpl.Fields()) == 0; tmpl.Plain() != plain {
				t.Errorf("%q: Plain = %v; want %v", tt.body, tmpl.Plain(), plain)
			}
		})
	}
}

func TestTemplate_NamesItsFieldsOnce(t *testing.T) {
	t.Parallel()
	tmpl, err := sms.ParseTemplate("{{ Town }} {{First name|x}} {{town:upper}} {{first_name}} {{Amount.KES}}")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := tmpl.Fields(), []string{"town", "firstname", "amountkes"}; !slices.Equal(got, want) {
		t.Errorf("Fields = %q; want %q", got, want)
	}
}

func TestTemplate_MistakesNameThePlaceAndTheRemedy(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		"Hi {{name":                  "character 4: {{ opens a merge field that is not closed: write }} after its name, or {{{{ for two plain braces",
		"Hi {{name}, bye":            "character 4: {{ opens a merge field that is not closed",
		"Hi {{na{me}}":               "character 4: {{ opens a merge field that is not closed",
		"Hi {{first\nname}}":         "line 1, character 4: {{ opens a merge field that is not closed",
		"Habari 😀,\nHi ‘{{":          "line 2, character 5: {{ opens a merge field that is not closed",
		"{{name}} {{{a}} {{b":        "character 17: {{ opens",
		"{{}}":                       "character 1: a merge field needs the name of a column, as in {{name}}",
		"{{ - }}":                    "character 1: a merge field needs the name of a column",
		"{{|there}}":                 "character 1: a merge field needs the name of a column",
		"{{name:shout}}":             `character 1: unknown filter "shout"; it must be one of upper, lower, title, first, trim, max:20, number and date`,
		"{{name:number:7}}":          "character 1: number takes 0 to 6 decimals, e.g. {{amount:number:2}}",
		"{{due:date:roman}}":         `character 1: unknown filter "roman"; it must be one of upper, lower, title, first, trim, max:20, number and date`,
		"{{due|date}}":               `character 1: "date" after the | would be the default; write filters after colons: {{name:upper|there}}`,
		"{{name:}}":                  "character 1: the filter after the colon is missing",
		"{{name:max}}":               "character 1: max needs a number of characters, e.g. {{name:max:20}}",
		"{{name:max:0}}":             "character 1: max needs a number",
		"{{name:max:x}}":             "character 1: max needs a number",
		"{{name|upper}}":             `character 1: "upper" after the | would be the default; write filters after colons`,
		"{{ name | default: there}}": `character 1: "default: there" after the |`,
		"{{name|max:3}}":             `character 1: "max:3" after the |`,
		"{{name|there|upper}}":       "character 1: a merge field must have only one |",
		"{{" + strings.Repeat("x", sms.MaxFieldName+1) + "}}":    "character 1: the name of a merge field is longer than 64 characters",
		strings.Repeat("{{name}}", sms.MaxMergeFields) + "{{n}}": "character 801: the body has more than 100 merge fields",
	} {
		tmpl, err := sms.ParseTemplate(body)
		if tmpl != nil || err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("ParseTemplate(%.60q) = %v, %v; want %s…", body, tmpl, err, want)
		}
		if _, ok := errors.AsType[*sms.TemplateError](err); !ok {
			t.Errorf("ParseTemplate(%.60q): the error is a %T; want *TemplateError", body, err)
		}
	}
}

func TestTemplate_RenderingEndsAtTheLongestMessage(t *testing.T) {
	t.Parallel()
	tmpl, err := sms.ParseTemplate(strings.Repeat("{{a:upper}}-", sms.MaxMergeFields))
	if err != nil {
		t.Fatal(err)
	}
	huge := strings.Repeat("x", 1<<20)
	got, _ := tmpl.Render(nil, func(string) string { return huge })
	if len(got) <= sms.MaxRendered || len(got) > sms.MaxRendered+1+sms.MaxMergeFields {
		t.Errorf("values of 1 MiB render to %d bytes; want slightly more than %d", len(got), sms.MaxRendered)
	}
	exact, err := sms.ParseTemplate("{{a}}")
	if err != nil {
		t.Fatal(err)
	}
	full := huge[:sms.MaxRendered]
	if got, _ := exact.Render([]byte("before"), func(string) string { return full }); string(got) != "before"+full {
		t.Errorf("a value of %d bytes renders to %d bytes; want all", len(full), len(got)-len("before"))
	}
}

func TestFieldKey(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"First name": "firstname", "first_name": "firstname", "FIRST-NAME": "firstname", " First.Name ": "firstname",
		"\ufeffFirst\u00a0Name:": "firstname", "Jina la mteja": "jinalamteja", "PRÉNOM": "prénom", "Amount {KES}": "amountkes",
		"Amount (KES)": "amount(kes)", "_-. ": "", "": "", "a–b": "ab",
	} {
		if got := sms.FieldKey(name); got != want {
			t.Errorf("FieldKey(%q) = %q; want %q", name, got, want)
		}
	}
}

// Not parallel: testing.AllocsPerRun counts the whole program's allocations.
func TestTemplate_RenderingDoesNotAllocate(t *testing.T) {
	tmpl, err := sms.ParseTemplate("Hi {{first name:first:title|there}}, {{amount}} is due on {{date:upper}}. {{town:max:4}}{{town:trim}}")
	if err != nil {
		t.Fatal(err)
	}
	value := lookup(map[string]string{"firstname": "JÀNE wanjiru", "amount": "1,500", "date": "3 nov", "town": "Nairobi"})
	dst := make([]byte, 0, 1024)
	if n := testing.AllocsPerRun(100, func() { dst, _ = tmpl.Render(dst[:0], value) }); n != 0 {
		t.Errorf("Render allocates %v times; want 0", n)
	}
}

func FuzzTemplate(f *testing.F) {
	for _, body := range []string{
		"", "Hi {{name}}", "{{ First Name:first:max:3|there }} {{{{ }}", "{{{a}}}", "{{a", "{{}}", "{{a|b|c}}", "{{a:title}}{{a:upper:lower:trim}}",
		"{{a:number}}{{a:number:2}}", "{{a:date:long}}{{a:date}}", "{{{{{{{{{a}}", "{\"a\":{\"b\":\"{{c}}\"}}", "{{a\n}}", "\xff{{\xff}}",
	} {
		for _, value := range []string{"", "Jane", "{{a}}", "-1,234.5%", "9/12/2026 08:30", " ŉ ẞ İ\u0301 ", "a\xffb", "#N/A"} {
			f.Add(body, value)
		}
	}
	f.Fuzz(func(t *testing.T, body, value string) {
		tmpl, err := sms.ParseTemplate(body)
		if !strings.Contains(body, "{{") && (err != nil || !tmpl.Plain()) {
			t.Fatalf("the body %q, without {{, is not a plain template: %v", body, err)
		}
		if err != nil {
			if tmpl != nil || err.Error() == "" {
				t.Fatalf("ParseTemplate(%q) = %v, %q; want a template, or nil and an error with a text", body, tmpl, err)
			}
			return
		}
		asked := map[string]bool{}
		got, missing := tmpl.Render([]byte("x"), func(field string) string {
			asked[field] = true
			if sms.FieldKey(field) != field || field == "" {
				t.Errorf("rendering %q requests %q, which is not a key", body, field)
			}
			return value
		})
		if !slices.Equal(slices.Sorted(maps.Keys(asked)), slices.Sorted(slices.Values(tmpl.Fields()))) {
			t.Errorf("rendering %q requests %v; want its fields %v", body, asked, tmpl.Fields())
		}
		if len(tmpl.Fields()) == 0 {
			if want := strings.ReplaceAll(body, "{{{{", "{{"); string(got) != "x"+want || tmpl.Plain() != (body == want) {
				t.Errorf("%q without fields renders as %q, plain %v; want %q, plain %v", body, got, tmpl.Plain(), "x"+want, body == want)
			}
		}
		if missing != "" && (strings.TrimSpace(value) == value && value != "" && value[0] > ' ' && value[0] < 0x7F && value[0] != '#') {
			t.Errorf("rendering %q: missing = %q, although its value is %q", body, missing, value)
		}
		if len(got) > sms.MaxRendered*3+len(body)+1 {
			t.Errorf("rendered %d bytes; want at most %d", len(got), sms.MaxRendered*3+len(body)+1)
		}
	})
}

// FuzzTemplateValues checks that Render inserts a value unchanged between the text on both sides of
// its field, even if the value looks like a template.
func FuzzTemplateValues(f *testing.F) {
	f.Add("Hi ", "Jane", "!")
	f.Add("{", "{{a}}", "}}")
	f.Add("}}", "}}{{{{", "a|b:c")
	f.Fuzz(func(t *testing.T, before, value, after string) {
		if strings.Contains(before, "{{") || strings.HasSuffix(before, "{") || strings.Contains(after, "{{") || len(value) > sms.MaxRendered/2 {
			return
		}
		tmpl, err := sms.ParseTemplate(before + "{{a}}" + after)
		if err != nil {
			t.Fatalf("ParseTemplate of a field within %q: error %v; want none", before+"…"+after, err)
		}
		got, missing := tmpl.Render(nil, func(string) string { return "." + value + "." })
		if want := before + "." + value + "." + after; string(got) != want || missing != "" {
			t.Errorf("rendered %q, missing %q; want %q", got, missing, want)
		}
	})
}

func BenchmarkTemplate(b *testing.B) {
	values := lookup(map[string]string{"name": "JANE WANJIRU", "amount": "1,500", "date": "3 November"})
	for _, bm := range []struct{ name, body string }{
		{"fields", "Hi {{name}}, your bill of KES {{amount}} is due on {{date}}. Pay by M-Pesa, paybill 123456."},
		{"filters", "Hi {{name:first:title|there}}, your bill of KES {{amount}} is due on {{date:upper}}. Pay by M-Pesa, paybill 123456."},
	} {
		b.Run(bm.name, func(b *testing.B) {
			tmpl, err := sms.ParseTemplate(bm.body)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			var dst []byte
			for b.Loop() {
				dst, _ = tmpl.Render(dst[:0], values)
			}
		})
	}
}

func ExampleTemplate_Render() {
	t, err := sms.ParseTemplate("Hi {{ First Name:title|there }}, your code is {{code}}.")
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, row := range []map[string]string{{"firstname": "JANE", "code": "1234"}, {"code": "5678"}, {"firstname": "Otieno"}} {
		body, missing := t.Render(nil, func(field string) string { return row[field] })
		fmt.Printf("%s %q\n", body, missing)
	}
	// Output:
	// Hi Jane, your code is 1234. ""
	// Hi there, your code is 5678. ""
	// Hi Otieno, your code is . "code"
}
