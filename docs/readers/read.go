// Read prints the images of a complete manifest, one Region a line.
package main

import (
	"encoding/json"
	"fmt"
	"log"
	"os"
)

func main() {
	var m struct {
		Version  int  `json:"schema_version"`
		Complete bool `json:"complete"`
		Images   map[string]struct {
			ID string `json:"image_id"`
		} `json:"images"`
	}
	content, err := os.ReadFile(os.Args[1])
	if err == nil {
		err = json.Unmarshal(content, &m)
	}
	if err != nil || m.Version != 1 || !m.Complete {
		log.Fatalf("%s: not a complete manifest of version 1 (%v)", os.Args[1], err)
	}
	for region, image := range m.Images {
		fmt.Println(region, image.ID)
	}
}
