// Classify pictures over gRPC: node client.js HOST:PORT MODEL PICTURE...
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import grpc from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';

const [url, model, ...pictures] = process.argv.slice(2);
if (!pictures.length) {
  console.error('usage: node client.js HOST:PORT MODEL PICTURE...');
  process.exit(2);
}

const protocol = fileURLToPath(new URL('kserve.proto', import.meta.url));
const proto = loadSync(protocol, { keepCase: true });
const address = url.replace(/^http:\/\/|\/$/g, '');
const { inference } = grpc.loadPackageDefinition(proto);
const client = new inference.GRPCInferenceService(address, grpc.credentials.createInsecure(), {
  'grpc.max_send_message_length': 64 << 20,
});
const infer = promisify(client.ModelInfer).bind(client);

// A BYTES element is its length, as four little-endian bytes, followed by its content.
function element(bytes) {
  const length = Buffer.alloc(4);
  length.writeUInt32LE(bytes.length);
  return Buffer.concat([length, bytes]);
}

function firstElement(raw) {
  return raw.subarray(4, 4 + raw.readUInt32LE()).toString();
}

try {
  for (const picture of pictures) {
    const request = {
      model_name: `${model}_image`,
      inputs: [{ name: 'image', datatype: 'BYTES', shape: [1, 1] }],
      raw_input_contents: [element(readFileSync(picture))],
      outputs: [{ name: 'probabilities', parameters: { classification: { int64_param: 1 } } }],
    };
    const answer = await infer(request, { deadline: Date.now() + 30_000 }); // otherwise for ever
    // "score:index:label"; the label is a WordNet id and a name, which may contain colons
    const [score, , ...label] = firstElement(answer.raw_output_contents[0]).split(':');
    console.log(`${picture}: ${label.join(':')} (${(100 * score).toFixed(1)} %)`);
  }
} catch (error) {
  console.error(error.details ?? error.message);
  process.exitCode = 1;
} finally {
  client.close();
}
