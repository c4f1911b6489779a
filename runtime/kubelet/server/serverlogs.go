package server

import (
	"net/http"
	"os"
)

// serverLogs serves the files below a directory, the server's own logs, as upstream's
// kubelet does. Other than upstream's it follows no link out of the directory, nor an
// absolute one: a pod that may write there by a hostPath volume must not show its user
// the rest of the server.
func serverLogs(dir string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		root, err := os.OpenRoot(dir)
		if err != nil {
			http.Error(w, err.Error(), http.StatusNotFound)
			return
		}
		defer root.Close()
		http.FileServerFS(root.FS()).ServeHTTP(w, r)
	})
}
