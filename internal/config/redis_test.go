package config

import (
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/test/redistest"
)

func TestParseRedis(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		url   string
		check func(redis.UniversalClient) bool
	}{
		"single": {"redis://u:p%40@h:1234/3?pool_size=5", func(c redis.UniversalClient) bool {
			o := c.(*redis.Client).Options()
			return o.Addr == "h:1234" && o.Username == "u" && o.Password == "p@" && o.DB == 3 && o.PoolSize == 5 && o.TLSConfig == nil
		}},
		"connections": {"redis://h", func(c redis.UniversalClient) bool {
			o := c.(*redis.Client).Options()
			return o.Addr == "h:6379" && o.PoolSize == 77
		}},
		"TLS": {"rediss://h", func(c redis.UniversalClient) bool { return c.(*redis.Client).Options().TLSConfig != nil }},
		"cluster": {"redis-cluster://u:p@a,b:7001,[::1]:7002", func(c redis.UniversalClient) bool {
			o := c.(*redis.ClusterClient).Options()
			return strings.Join(o.Addrs, " ") == "a:6379 b:7001 [::1]:7002" && o.Username == "u" && o.Password == "p" && o.PoolSize == 77
		}},
		"cluster after a killed master": {"redis-cluster://a", func(c redis.UniversalClient) bool {
			return c.(*redis.ClusterClient).Options().ClusterStateReloadInterval <= 2*time.Second
		}},
		"cluster with TLS": {"rediss-cluster://a/0?dial_timeout=2s", func(c redis.UniversalClient) bool {
			o := c.(*redis.ClusterClient).Options()
			return o.TLSConfig != nil && o.DialTimeout == 2*time.Second
		}},
		"sentinel": {"redis-sentinel://u:p@a,b:5/mymaster/2?sentinel_password=sp", func(c redis.UniversalClient) bool {
			o := c.(*redis.Client).Options()
			return o.Username == "u" && o.Password == "p" && o.DB == 2 && o.PoolSize == 77 && o.Addr == "FailoverClient"
		}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			open, err := ParseRedis(tt.url)
			if err != nil {
				t.Fatal(err)
			}
			c := open(77, TLS{})
			defer c.Close()
			if !tt.check(c) {
				t.Errorf("URL %s: got the unexpected client %+v", tt.url, c)
			}
		})
	}
	for _, bad := range []string{"", "redis", "redis:", "http://h", "redis://h/x", "redis://h/1/2", "redis-cluster://h/1", "redis-sentinel://h",
		"redis-sentinel://h/m/x", "redis-sentinel://h/m?bogus=1", "redis://h?bogus=1", "redis://h:port", "redis-cluster://h:port"} {
		if _, err := ParseRedis(bad); err == nil {
			t.Errorf("ParseRedis(%q) gave no error", bad)
		}
	}
	for _, option := range []string{"read_only=true", "route_by_latency=true", "route_randomly=true"} {
		if _, err := ParseRedis("redis-cluster://:secret@a,b?" + option); err == nil || !strings.Contains(err.Error(), "must not read from replicas") || strings.Contains(err.Error(), "secret") {
			t.Errorf("ParseRedis with %s gave the error %v, want one about replicas", option, err)
		}
	}
	if _, err := ParseRedis("redis-cluster://a,b?read_only=false"); err != nil {
		t.Errorf("ParseRedis with read_only=false gave the error %v", err)
	}
}

// An unescaped # or ? in a password ends the URL before its host. Then the client would connect to another
// Redis than the user intended. ParseRedis must reject such a URL.
func TestParseRedis_MarksInThePassword(t *testing.T) {
	t.Parallel()
	for _, url := range []string{
		"redis://:pa#ss@db.example.org:6379/0", "rediss://u:#@h", "redis://h#1", "redis://:pa?ss@db.example.org:6379/0",
		"redis-cluster://:pa#ss@a,b", "redis-cluster://:pa?ss@a,b", "redis-sentinel://:pa#ss@a,b/m", "redis-sentinel://:pa?ss@a,b/m", "unix:///run/redis.sock#1",
	} {
		_, err := ParseRedis(url)
		if err == nil || !strings.Contains(err.Error(), "write %23 for # and %3F for ?") || strings.Contains(err.Error(), "pa#ss") {
			t.Errorf("ParseRedis(%q): error %v; want the escapes of # and ?, and no password", url, err)
		}
	}
	open, err := ParseRedis("redis://:pa%23s%3Fs@h:1/0?pool_size=5")
	if err != nil {
		t.Fatal(err)
	}
	c := open(0, TLS{}).(*redis.Client)
	defer c.Close()
	if o := c.Options(); o.Password != "pa#s?s" || o.Addr != "h:1" {
		t.Errorf("escaped marks: password %q at %s; want pa#s?s at h:1", o.Password, o.Addr)
	}
}

// An editor or a shell of Windows may write the file with a secret. The secret must be read in each encoding
// that these programs use.
func TestSecretFile_Encodings(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ content, want string }{
		"plain":                    {"s3cret\n", "s3cret"},
		"UTF-8 with a mark":        {"\xef\xbb\xbfs3cret\r\n", "s3cret"},
		"UTF-16, little end first": {"\xff\xfes\x003\x00\r\x00\n\x00", "s3"},
		"UTF-16, big end first":    {"\xfe\xff\x00s\x003", "s3"},
		"spaces belong to it":      {" s3 cret \n", " s3 cret "},
		"UTF-16 without a mark":    {"s\x003\x00", ""},
		"two lines":                {"one\ntwo\n", ""},
		"neither UTF-8 nor UTF-16": {"s3cr\xe9t", ""},
	} {
		got, err := decodeSecret([]byte(tt.content))
		if (tt.want == "") != (err != nil) || got != tt.want {
			t.Errorf("%s: %q, error %v; want %q", name, got, err, tt.want)
		}
	}
}

func TestURLWithoutLogin_HidesTheLogin(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"redis://127.0.0.1:6379/0":                         "redis://127.0.0.1:6379/0",
		"redis://user:pa@ss@h:1/0?x=y":                     "redis://h:1/0",
		"redis-sentinel://u:p@a,b/m/0?sentinel_password=q": "redis-sentinel://a,b/m/0",
		"nonsense": "redis",
		"redis-cluster://u:p@a?addr=b:1&pool_size=5&password=q": "redis-cluster://a?addr=b%3A1",
		"redis-sentinel://u:p@a?master_name=m&db=3&username=q":  "redis-sentinel://a?db=3&master_name=m",
	}
	for url, want := range tests {
		if got := URLWithoutLogin(url); got != want {
			t.Errorf("%s is shown as %s, want %s", url, got, want)
		}
	}
}

// Opening a client must not wait for DNS, because DNS may not answer. The client looks up the host when it
// connects.
func TestParseRedis_OpensWithoutDNS(t *testing.T) { // not parallel: changes net.DefaultResolver
	queries := redistest.CountDNS(t)
	for _, url := range []string{"redis://redis.example", "rediss://redis.example", "redis-cluster://a.example,b.example", "redis-sentinel://a.example/main"} {
		open, err := ParseRedis(url)
		if err != nil {
			t.Fatal(err)
		}
		if err := open(1, TLS{}).Close(); err != nil {
			t.Error(err)
		}
		if n := queries(); n != 0 {
			t.Errorf("opening %s tried %d DNS queries, want 0", url, n)
		}
	}
}
