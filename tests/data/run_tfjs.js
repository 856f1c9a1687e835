// What TensorFlow.js computes with a layers model: node run_tfjs.js < job.json > truth.json
// job.json: {"model": folder, "x": input of the whole model or null, "layers": {name: x}}. Of each recurrent
// layer, of both directions of a Bidirectional one, every output and the final states are told.
const tf = require('@tensorflow/tfjs');
const fs = require('fs');
const path = require('path');

function handler(folder) {
  return {
    load: async () => {
      const model = JSON.parse(fs.readFileSync(path.join(folder, 'model.json'), 'utf8'));
      const [group] = model.weightsManifest;
      const data = Buffer.concat(group.paths.map((one) => fs.readFileSync(path.join(folder, one))));
      const weightData = data.buffer.slice(data.byteOffset, data.byteOffset + data.length);
      return {modelTopology: model.modelTopology, weightSpecs: group.weights, weightData};
    },
  };
}

// The layer with every step and its states returned, over an input of its own.
function alone(layer, x) {
  const config = Object.assign(layer.getConfig(), {
    returnSequences: true, returnState: true, name: `alone_${layer.name}`,
  });
  const make = {LSTM: tf.layers.lstm, GRU: tf.layers.gru, SimpleRNN: tf.layers.simpleRNN};
  const copy = make[layer.getClassName()](config);
  const input = tf.input({shape: x.shape.slice(1)});
  const model = tf.model({inputs: input, outputs: copy.apply(input)});
  copy.setWeights(layer.getWeights());
  return model.predict(x).map((one) => one.arraySync());
}

async function main() {
  await tf.setBackend('cpu');
  const job = JSON.parse(fs.readFileSync(0, 'utf8'));
  const model = await tf.loadLayersModel(handler(job.model));
  const told = {version: tf.version.tfjs, layers: {}};
  if (job.x !== null) {
    told.outputs = model.predict(tf.tensor(job.x)).arraySync();
  }
  for (const [name, x] of Object.entries(job.layers)) {
    const [outer, inner] = name.split('/');
    const layer = model.getLayer(outer);
    const one = inner === undefined ? layer
      : inner.startsWith('forward') ? layer.forwardLayer : layer.backwardLayer;
    told.layers[name] = alone(one, tf.tensor(x));
  }
  process.stdout.write(JSON.stringify(told));
}
main();
