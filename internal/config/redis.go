package config

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/tuma-sms/tuma/internal/prefix"
	"github.com/tuma-sms/tuma/internal/script"
)

// Redis is the redis section of the configuration.
type Redis struct {
	// URL is a Redis URL that ParseRedis accepts. It may contain a password.
	URL string
	// Source names the origin of the URL for messages: a file with a line, or an environment variable.
	Source string
	// Every key in Redis begins with Prefix. Prefix may be empty.
	Prefix string
	// TLS are the settings of an encrypted connection.
	TLS TLS
	// If Unsafe is true, Tuma accepts a Redis that may lose data, because AOF is off or an eviction policy is set.
	Unsafe bool
	// Durability is how safely Redis must have stored a change before Tuma relies on the change.
	Durability script.Durability
}

// The method "redis" reads the section "redis".
func (r *reader) redis(e entry, target *Redis) {
	fromEnvironment, _ := r.lookup("TUMA_REDIS_URL")
	where := func(e entry, read func(entry, *string)) {
		if fromEnvironment != "" {
			return // a mistake in this URL does not matter, because TUMA_REDIS_URL replaces the URL
		}
		var text string
		if read(e, &text); text == "" {
			return
		}
		if _, err := ParseRedis(text); err != nil {
			r.fail(e, "%v", err)
			return
		}
		target.URL, target.Source = text, fmt.Sprintf("%s:%d", r.file, e.line)
	}
	r.section(e, map[string]func(entry){
		"url":      func(e entry) { where(e, r.string) },
		"url_file": func(e entry) { where(e, r.secretFile) },
		"tls":      func(e entry) { r.redisTLS(e, &target.TLS) },
		"prefix":   func(e entry) { r.redisPrefix(e, &target.Prefix) },
		"unsafe":   func(e entry) { r.bool(e, &target.Unsafe) },
		"durability": func(e entry) {
			text, ok := r.text(e)
			if !ok {
				return
			}
			var err error
			if target.Durability, err = script.ParseDurability(text); err != nil {
				r.fail(e, "%v", err)
			}
		},
	})
}

// redisPrefix reads the prefix of the keys.
func (r *reader) redisPrefix(e entry, target *string) {
	if r.string(e, target); *target == "" {
		return
	}
	if err := prefix.Check(*target); err != nil {
		r.fail(e, "%v", err)
	}
}

// redisFromEnvironment sets the URL from TUMA_REDIS_URL.
func (r *reader) redisFromEnvironment(url string, target *Redis) {
	if _, err := ParseRedis(url); err != nil {
		r.problems = append(r.problems, problem{name: "TUMA_REDIS_URL:", what: err.Error()})
		return
	}
	target.URL, target.Source = url, "TUMA_REDIS_URL"
}

// secretFile reads a value from the file that the entry names. A relative name is relative to the directory
// of the configuration file.
func (r *reader) secretFile(e entry, target *string) {
	name, ok := r.text(e)
	if !ok {
		return
	}
	if !filepath.IsAbs(name) {
		name = filepath.Join(r.dir, name)
	}
	text, err := readSmallFile(name, 64<<10)
	if err != nil {
		r.lack(e, "cannot be read: %v", err)
		return
	}
	if r.sum != nil {
		r.sum.Write(text)
	}
	secret, err := decodeSecret(text)
	if err != nil {
		r.lack(e, "%s: %v", name, err)
		return
	}
	if secret == "" {
		r.lack(e, "%s is empty", name)
		return
	}
	*target = secret
}

// decodeSecret returns the text of a file that holds one secret, without the line end. The file may
// be in UTF-8 with or without a byte order mark, or in UTF-16 with a byte order mark, because
// editors and shells of Windows write these encodings.
func decodeSecret(b []byte) (string, error) {
	text := string(b)
	switch {
	case bytes.HasPrefix(b, []byte("\xef\xbb\xbf")):
		text = text[3:]
	case bytes.HasPrefix(b, []byte("\xff\xfe")):
		text = decodeUTF16(b[2:], binary.LittleEndian)
	case bytes.HasPrefix(b, []byte("\xfe\xff")):
		text = decodeUTF16(b[2:], binary.BigEndian)
	}
	text = strings.TrimRight(text, "\r\n")
	if strings.ContainsAny(text, "\x00\r\n") || !utf8.ValidString(text) {
		return "", errors.New("must hold one line of text in UTF-8")
	}
	return text, nil
}

func decodeUTF16(b []byte, order binary.ByteOrder) string {
	units := make([]uint16, len(b)/2)
	for i := range units {
		units[i] = order.Uint16(b[2*i:])
	}
	return string(utf16.Decode(units))
}

// redisURLForms maps the scheme of a Redis URL to the form that the URL must have.
var redisURLForms = map[string]string{
	"redis":           "redis://HOST:6379/0",
	"rediss":          "rediss://HOST:6379/0",
	"unix":            "unix:///PATH?db=0",
	"redis-cluster":   "redis-cluster://HOST:6379,HOST:6379",
	"rediss-cluster":  "rediss-cluster://HOST:6379,HOST:6379",
	"redis-sentinel":  "redis-sentinel://HOST:26379,HOST:26379/MASTER/0",
	"rediss-sentinel": "rediss-sentinel://HOST:26379,HOST:26379/MASTER/0",
}

// Opener returns a new client. The parameter "connections" is the size of the client's pool, unless the URL sets
// pool_size. The size 0 means the default of go-redis. The parameter "t" has the settings of an encrypted connection.
type Opener func(connections int, t TLS) redis.UniversalClient

// ParseRedis parses a Redis URL:
//
//	redis://[USER:PASSWORD@]HOST[:6379][/DB]              also rediss:// (TLS) and unix://
//	redis-cluster://[…@]HOST[:6379],HOST…                 also rediss-cluster://
//	redis-sentinel://[…@]HOST[:26379],HOST…/MASTER[/DB]   also rediss-sentinel://
//
// The query may set options of go-redis (?dial_timeout=2s&pool_size=50). In a sentinel URL,
// USER and PASSWORD are the login of Redis. The options sentinel_username and sentinel_password
// are the login of the sentinels. Errors never contain a password.
func ParseRedis(text string) (Opener, error) {
	scheme, rest, ok := strings.Cut(text, "://")
	form := redisURLForms[scheme]
	if !ok || form == "" {
		return nil, errors.New("must be a URL such as redis://127.0.0.1:6379/0; " +
			"rediss://, redis-sentinel:// and redis-cluster:// are supported too")
	}
	if mark := openMark(rest); mark != "" {
		return nil, errors.New("has a " + mark + ", so the text after it would be ignored: remove it, or in a password write %23 for # and %3F for ?")
	}
	var open Opener
	var err error
	switch plain, kind, _ := strings.Cut(scheme, "-"); kind {
	case "cluster":
		open, err = parseCluster(plain, rest)
	case "sentinel":
		open, err = parseSentinel(plain, rest)
	default:
		open, err = parseSingle(text)
	}
	if errors.Is(err, errReadsReplicas) {
		return nil, err
	}
	if err != nil {
		// The error of the library may quote a password that is not escaped.
		return nil, errors.New("must have the form " + form + " (in a password write %40 for @, %2F for /, %25 for %, %23 for #, %3F for ?)")
	}
	return open, nil
}

// openMark searches a Redis URL without its scheme for a # or a ? that belongs to the password and must be
// escaped. It returns the text that names this character in an error message, or "" if the URL has no such character.
// A # always belongs to the password, because a Redis URL has no fragment. A ? belongs to the password if an @
// follows it and no @ precedes it, because options begin only after the login and the hosts.
func openMark(rest string) string {
	if strings.Contains(rest, "#") {
		return "#"
	}
	hosts, options, _ := strings.Cut(rest, "?")
	if !strings.Contains(hosts, "@") && strings.Contains(options, "@") {
		return "? before its last @"
	}
	return ""
}

// noMaintNotifications turns off the maintenance notifications of Redis Enterprise. If they are on, go-redis looks up
// the host in DNS for up to two seconds before it returns a client. On each connection, go-redis also requests a
// feature that only Redis Enterprise has. Tuma repeats commands that a moved connection interrupts, so it does not
// need these notifications.
func noMaintNotifications() *maintnotifications.Config {
	return &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
}

func parseSingle(text string) (Opener, error) {
	o, err := redis.ParseURL(text)
	if err != nil {
		return nil, err
	}
	return func(connections int, t TLS) redis.UniversalClient {
		if o.TLSConfig != nil {
			o.TLSConfig = t.Config(o.TLSConfig)
		}
		if o.PoolSize == 0 {
			o.PoolSize = connections
		}
		o.MaintNotificationsConfig = noMaintNotifications()
		return redis.NewClient(o)
	}, nil
}

// errReadsReplicas is the error for a cluster URL whose options let clients read from replicas. The data of a
// replica may be old.
var errReadsReplicas = errors.New("must not read from replicas, whose data may be old: remove read_only, route_by_latency and route_randomly")

// clusterStateAge is the maximum age of a client's list of masters. go-redis also updates the list after a
// redirection, but a killed master sends no redirection, and go-redis would send commands to that master for up to a
// minute.
const clusterStateAge = 2 * time.Second

func parseCluster(scheme, rest string) (Opener, error) {
	hosts, path, query := splitHosts(rest, "6379")
	if strings.Trim(path, "/0") != "" {
		return nil, errors.New("a cluster has only database 0; remove the database number")
	}
	o, err := redis.ParseClusterURL(scheme + "://" + hosts[0] + "?" + withAddrs(query, hosts[1:]))
	if err != nil {
		return nil, err
	}
	if o.ReadOnly || o.RouteByLatency || o.RouteRandomly {
		return nil, errReadsReplicas
	}
	o.ClusterStateReloadInterval = clusterStateAge
	return func(connections int, t TLS) redis.UniversalClient {
		if o.TLSConfig != nil {
			o.TLSConfig = t.Config(o.TLSConfig)
		}
		if o.PoolSize == 0 {
			o.PoolSize = connections
		}
		o.MaintNotificationsConfig = noMaintNotifications()
		return redis.NewClusterClient(o)
	}, nil
}

func parseSentinel(scheme, rest string) (Opener, error) {
	hosts, path, query := splitHosts(rest, "26379")
	master, db, _ := strings.Cut(strings.Trim(path, "/"), "/")
	master, err := url.PathUnescape(master)
	if err != nil {
		return nil, err
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return nil, err
	}
	ownUser, ownPassword := values.Get("sentinel_username"), values.Get("sentinel_password")
	values.Del("sentinel_username")
	values.Del("sentinel_password")
	if master != "" {
		values.Set("master_name", master)
	}
	if values.Get("master_name") == "" {
		return nil, errors.New("the URL must name a master after the hosts, as in redis-sentinel://HOST:26379/MASTER")
	}
	o, err := redis.ParseFailoverURL(scheme + "://" + hosts[0] + "/" + db + "?" + withAddrs(values.Encode(), hosts[1:]))
	if err != nil {
		return nil, err
	}
	// go-redis takes the login in the URL as the login of the sentinels. In a URL for Tuma it is the login of
	// Redis. So exchange the two logins.
	o.Username, o.Password = o.SentinelUsername, o.SentinelPassword
	o.SentinelUsername, o.SentinelPassword = ownUser, ownPassword
	return func(connections int, t TLS) redis.UniversalClient {
		if o.TLSConfig != nil {
			o.TLSConfig = t.Config(o.TLSConfig)
		}
		if o.PoolSize == 0 {
			o.PoolSize = connections
		}
		return redis.NewFailoverClient(o)
	}, nil
}

// splitHosts splits "user:pass@a:1,b/path?query" into hosts, path and query. The first host keeps
// the login. A host without a port gets the given port.
func splitHosts(rest, port string) (hosts []string, path, query string) {
	end := strings.IndexAny(rest, "/?")
	if end < 0 {
		end = len(rest)
	}
	authority, tail := rest[:end], rest[end:]
	path, query, _ = strings.Cut(tail, "?")
	at := strings.LastIndexByte(authority, '@') + 1
	hosts = strings.Split(authority[at:], ",")
	for i, h := range hosts {
		if _, _, err := net.SplitHostPort(h); err != nil {
			hosts[i] = net.JoinHostPort(strings.Trim(h, "[]"), port)
		}
	}
	hosts[0] = authority[:at] + hosts[0]
	return hosts, path, query
}

// withAddrs adds hosts to a query as addr parameters, which go-redis reads.
func withAddrs(query string, hosts []string) string {
	for _, h := range hosts {
		query += "&addr=" + url.QueryEscape(h)
	}
	return strings.TrimPrefix(query, "&")
}

// shownOptions are the options of a Redis URL that name a server or a database.
var shownOptions = []string{"addr", "master_name", "db"}

// URLWithoutLogin returns a Redis URL without its login, for messages. It keeps only the options
// that name a server or a database, so that a message shows which Redis is used.
func URLWithoutLogin(text string) string {
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok {
		return "redis"
	}
	rest = rest[strings.LastIndexByte(rest, '@')+1:]
	rest, query, _ := strings.Cut(rest, "?")
	shown := url.Values{}
	if all, err := url.ParseQuery(query); err == nil {
		for _, name := range shownOptions {
			if values, ok := all[name]; ok {
				shown[name] = values
			}
		}
	}
	if len(shown) > 0 {
		rest += "?" + shown.Encode()
	}
	return scheme + "://" + rest
}
