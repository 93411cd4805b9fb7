// node validate.cjs SCHEMA.json FILE.json...
//
// Validates files with a JSON Schema of the draft 2020-12. In ajv's strict mode, a
// schema with unknown keywords, missing types or required fields that it doesn't
// define is an error.
const fs = require("fs");
const Ajv = require("ajv/dist/2020");

const [schema, ...files] = process.argv.slice(2);
const read = (file) => JSON.parse(fs.readFileSync(file, "utf8"));
const ajv = new Ajv({ strict: true, strictRequired: true, strictTypes: true, allErrors: true });
const validate = ajv.compile(read(schema));
for (const file of files) {
  if (!validate(read(file))) {
    console.error(`${file}: ${ajv.errorsText(validate.errors)}`);
    process.exitCode = 1;
  }
}
