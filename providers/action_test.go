package providers

import (
	"fmt"
	"strings"
	"testing"
)

func TestActionCheck_NamesWrongParameters(t *testing.T) {
	t.Parallel()
	full := Action{Name: "Move", Needs: []string{"from", "to"}, Takes: []string{"note"}}
	bare := Action{Name: "Ping"}
	for name, tc := range map[string]struct {
		action Action
		params map[string]string
		want   string
	}{
		"all":                 {full, map[string]string{"from": "a", "to": "b", "note": "c"}, ""},
		"what is needed":      {full, map[string]string{"from": "a", "to": "b"}, ""},
		"an empty note":       {full, map[string]string{"from": "a", "to": "b", "note": ""}, ""},
		"none":                {full, nil, "Move needs from=…"},
		"one missing":         {full, map[string]string{"from": "a"}, "Move needs to=…"},
		"one empty":           {full, map[string]string{"from": "", "to": "b"}, "Move needs from=…"},
		"one unknown":         {full, map[string]string{"from": "a", "to": "b", "zebra": hunter}, `Move does not take "zebra"; it takes from, to, note`},
		"the first unknown":   {full, map[string]string{"from": "a", "to": "b", "zebra": "1", "ant": "2"}, `Move does not take "ant"; it takes from, to, note`},
		"another case":        {full, map[string]string{"from": "a", "to": "b", "Note": "c"}, `Move does not take "Note"; it takes from, to, note`},
		"missing before odd":  {full, map[string]string{"zebra": "x"}, "Move needs from=…"},
		"nothing for nothing": {bare, nil, ""},
		"something for it":    {bare, map[string]string{"note": hunter}, "Ping takes no parameters"},
	} {
		err := tc.action.Check(tc.params)
		if got := fmt.Sprint(err); tc.want == "" && err != nil || tc.want != "" && got != tc.want || strings.Contains(got, "hunter") {
			t.Errorf("%s: got %v, want %q", name, err, tc.want)
		}
	}
	if len(full.Needs) != 2 || cap(full.Needs) != 2 || full.Needs[1] != "to" {
		t.Error("Check changed the action's list Needs, want it unchanged")
	}
}
