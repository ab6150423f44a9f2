package main

import (
	"strings"
	"testing"
)

const koboYAML = "accounts:\n  k:\n    provider: kobo\n    user: u\n    pass: p\n"

func TestConfig_FileFromFlagOrEnvironment(t *testing.T) {
	t.Parallel()
	broken := func(name string) string { return "retention: " + name + "\n" }
	c := newCLI(t, "")
	byFlag, byEnvironment := c.file("flag.yaml", broken("flag")), c.file("env.yaml", broken("env"))
	c.env = []string{"TUMA_CONFIG=" + byEnvironment}
	if _, errOut, exit := c.run("list"); exit != exitMisuse || !strings.Contains(errOut, byEnvironment+`:1: retention: "env"`) {
		t.Errorf("list with TUMA_CONFIG: got standard error %s, want the mistake in env.yaml", errOut)
	}
	if _, errOut, _ := c.run("list", "--config", byFlag); !strings.Contains(errOut, byFlag+`:1: retention: "flag"`) {
		t.Errorf("list with TUMA_CONFIG and --config: got standard error %s, want the mistake in flag.yaml", errOut)
	}
	for _, missing := range [][]string{{"list", "--config", "not-there.yaml"}, {"check", "--config", "not-there.yaml"}, {"list", "--config", c.dir}} {
		if _, errOut, exit := c.run(missing...); exit != exitMisuse || strings.Count(errOut, "\n") != 1 {
			t.Errorf("tuma %v: got exit %d and standard error %s, want exit 2 and one line", missing, exit, errOut)
		}
	}
	c.env = nil
	if _, errOut, exit := c.run("check"); exit != exitMisuse || !strings.Contains(errOut, "tuma.yaml is not in this directory") {
		t.Errorf("check without a configuration: got exit %d and standard error %s, want exit 2 and a hint at tuma.yaml", exit, errOut)
	}
}
