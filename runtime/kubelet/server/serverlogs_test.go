package server

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestServerLogs(t *testing.T) {
	server := t.TempDir()
	logs := filepath.Join(server, "log")
	for file, content := range map[string]string{"shadow": "secret", "log/syslog": "one line", "log/apt/term.log": "two"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(server, file)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(server, file), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for link, target := range map[string]string{"absolute": filepath.Join(server, "shadow"), "out": "../shadow", "within": "apt/term.log"} {
		if err := os.Symlink(target, filepath.Join(logs, link)); err != nil {
			t.Fatal(err)
		}
	}
	h := http.StripPrefix("/logs/", serverLogs(logs))
	for path, want := range map[string]struct {
		code int
		body string
	}{
		"/logs/":             {http.StatusOK, "syslog"},
		"/logs/syslog":       {http.StatusOK, "one line"},
		"/logs/apt/":         {http.StatusOK, "term.log"},
		"/logs/apt/term.log": {http.StatusOK, "two"},
		"/logs/within":       {http.StatusOK, "two"},
		"/logs/none":         {http.StatusNotFound, ""},
		"/logs/../shadow":    {http.StatusNotFound, ""},
		"/logs/out":          {http.StatusInternalServerError, ""},
		"/logs/absolute":     {http.StatusInternalServerError, ""},
	} {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodGet, "/logs/", nil)
		r.URL.Path = path
		h.ServeHTTP(w, r)
		if w.Code != want.code || !strings.Contains(w.Body.String(), want.body) || strings.Contains(w.Body.String(), "secret") {
			t.Errorf("%s: %d %s, want %d", path, w.Code, w.Body, want.code)
		}
	}
	w := httptest.NewRecorder()
	serverLogs(filepath.Join(server, "nowhere")).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	if w.Code != http.StatusNotFound {
		t.Errorf("a server without the directory: %d", w.Code)
	}
}
